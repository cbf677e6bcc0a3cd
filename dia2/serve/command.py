"""What `dia2 serve` does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from dia2.common.errors import Dia2Error, UsageError
from dia2.engine import Dia2

TOKEN = "DIA2_TOKEN"  # noqa: S105  # the name of the variable


def serve(args: argparse.Namespace, tts: Dia2) -> int:
    """Answer requests until SIGTERM or Ctrl-C; returns the exit code.

    Raises:
        UsageError: a flag is not acceptable.
        Dia2Error: what serving needs is not installed, or the address is taken.
    """
    try:
        import uvicorn

        from dia2.serve.access import check_address, is_loopback
        from dia2.serve.app import application
        from dia2.serve.limits import Limits
        from dia2.serve.wire import configured
    except ModuleNotFoundError as error:
        raise Dia2Error(f"Serving needs {error.name}: pip install 'dia2-inspect[serve]'.") from error
    token = os.environ.get(TOKEN) or None
    check_address(args.host, token)
    if not 0 <= args.port <= 65_535:
        raise UsageError(f"--port is 0 to 65535, not {args.port}.")
    voices = None if args.voices is None else Path(args.voices)
    if voices is not None and not voices.is_dir():
        raise UsageError(f"There is no folder of voices {voices}.")
    limits = Limits(rows=args.rows, queue=args.queue)
    app = application(
        tts,
        limits=limits,
        voices=voices,
        whisper=args.whisper,
        runs=None if args.runs is None else Path(args.runs),
        token=token,
        local=is_loopback(args.host),
        use_cuda_graph=args.cuda_graph,
        use_torch_compile=args.compile,
    )
    level = "error" if args.quiet else "info"
    server = uvicorn.Server(configured(app, limits, args.host, args.port, level))
    server.run()
    return 0 if server.started else 1
