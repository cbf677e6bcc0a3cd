"""The flags of `dia2 sweep` and `dia2 query`, apart from what is run: see `dia2.trace_flags`."""

from __future__ import annotations

import argparse


def add_sweep_flags(parser: argparse.ArgumentParser) -> None:
    """Those of `dia2 sweep`; `dia2.inspect.sweeps.command` runs what they parse."""
    parser.add_argument("plan", metavar="PLAN.toml", help="what to make: [model], [grid] and [run]")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DEST", help="folder or URL of the dataset (s3://, gs://, hf://)"
    )
    parser.add_argument("--on", metavar="ENGINE", help="batches, processes, processes:N, ray or ray://HOST:PORT")
    parser.add_argument("--rows", type=int, help="scripts side by side (default: 8)")
    parser.add_argument("--level", choices=("tokens", "topk", "full"), help="of the traces (default: topk)")
    parser.add_argument("--again", action="store_true", help="make runs anew that failed before")
    parser.add_argument(
        "--no-voice",
        dest="voice",
        action="store_false",
        default=None,
        help="do not keep recordings that runs go on from",
    )
    parser.add_argument("--html", metavar="FILE", help="write the explorer of its runs, for any browser")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def add_query_flags(parser: argparse.ArgumentParser) -> None:
    """Those of `dia2 query`."""
    parser.add_argument("dataset", metavar="DEST", help="what dia2 sweep has written to")
    parser.add_argument("sql", metavar="SQL", help='a question: "select avg(seconds) from runs group by cfg_scale"')
    parser.add_argument("--json", action="store_true", help="print a list of rows as JSON")
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
