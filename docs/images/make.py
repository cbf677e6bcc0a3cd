"""Draws the README's terminal pictures from a run of the embedded checkpoint: python docs/images/make.py."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from dia2 import Dia2
from dia2.inspect import load
from dia2.inspect.console import print_frame

CALL = 11


def main() -> None:
    """Record, draw, write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.dia2trace"
        Dia2.nano(device="cpu").generate("[S1] Hello there. [S2] Hi!", cfg_scale=2.0, seed=7, trace=path)
        console = Console(record=True, width=92, file=io.StringIO(), force_terminal=True)
        print_frame(load(path), console, CALL, times=False)
    svg = console.export_svg(title=f"dia2 trace frames run.dia2trace --call {CALL}")
    svg = re.sub(r',\s*url\("https?:[^)]*\) format\("\w+"\)', "", svg)  # a picture asks nobody for its font
    (Path(__file__).parent / "trace-frame.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
