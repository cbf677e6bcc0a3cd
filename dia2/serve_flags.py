"""The flags of `dia2 serve`, apart from what it does: see `dia2.trace_flags`."""

from __future__ import annotations

import argparse


def add_serve_flags(parser: argparse.ArgumentParser) -> None:
    """Its own ones; `dia2.serve.command` does what they say."""
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s); others need DIA2_TOKEN")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--voices", metavar="FOLDER", help=".voice files, each a voice of its name")
    parser.add_argument(
        "--whisper", default="turbo", metavar="NAME", help="listens to recordings that are sent (default: %(default)s)"
    )
    parser.add_argument("--runs", metavar="FOLDER", help="where recorded runs are kept (default: while it runs)")
    parser.add_argument("--rows", type=int, default=8, help="requests spoken side by side (default: %(default)s)")
    parser.add_argument("--queue", type=int, default=32, help="requests that may wait (default: %(default)s)")
    parser.add_argument("--cuda-graph", action="store_true", help="replay frames as CUDA graphs")
    parser.add_argument("--compile", action="store_true", help="compile frames")
    parser.add_argument("--quiet", action="store_true", help="log nothing but errors")
