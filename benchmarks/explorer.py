"""What the explorer costs: following a run while it is generated, and writing the page of a long one.

    python benchmarks/explorer.py [--shape nano|300m|1b|2b] [--frames 300]

Following: every update's time, as a share of the run that it delays, and how far updates lie apart. The page: seconds
to write it, and its size. How fast a browser draws it is measured in tests/inspect/test_browser.py.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import open_run, runtime

from dia2 import GenerationConfig
from dia2.common.hooks import Span, observing
from dia2.inspect import load, record
from dia2.inspect.views.explorer import to_html
from dia2.inspect.views.explorer.live import Follower
from dia2.inspect.views.explorer.widget import LiveExplorer
from dia2.runtime.observed import Frames


class Timed(Follower):
    """A follower that looks at the clock."""

    first: float  # seconds, for what is sent before the first call
    seconds: list[float]  # for each update
    at: list[float]  # when each began

    def end(self, span: Span, /) -> None:
        """See `Observer`."""
        began = time.perf_counter()
        super().end(span)
        self.first = time.perf_counter() - began
        self.seconds, self.at = [], []

    def frames(self, frames: Frames, /) -> None:
        """See `Observer`."""
        self.at.append(time.perf_counter())
        super().frames(frames)
        self.seconds.append(time.perf_counter() - self.at[-1])


def follow(target: Any, frames: int, path: Path, console: Console) -> dict[str, float]:
    """Record and follow a run of so many frames."""
    widget, config = LiveExplorer(), GenerationConfig(seed=1)
    with record(path) as recorder, target.computing():
        follower = Timed(recorder, widget.add)
        with observing(follower):
            loop = open_run(target, config)
            began = time.perf_counter()
            for _ in track(range(frames), console=console, description="following"):
                next(loop)
            run = time.perf_counter() - began
            loop.close()
    spent = sum(follower.seconds)
    apart = np.diff(follower.at)
    return {
        "frames": frames,
        "ms a frame": 1000 * run / frames,
        "ms at the start": 1000 * follower.first,
        "ms an update": 1000 * float(np.median(follower.seconds)),
        "share of the run": spent / (run - spent),
        "updates a second": len(follower.at) / run,
        "longest wait, s": float(apart.max()),
        "bytes a frame": sum(map(len, widget._pieces[1:])) / frames,
    }


def page(path: Path) -> dict[str, float]:
    """Write the page of that run."""
    trace = load(path)
    began = time.perf_counter()
    written = to_html(trace, path.with_suffix(".html"))
    return {
        "calls": len(trace),
        "codebooks": trace.model.codebooks,
        "s to write the page": time.perf_counter() - began,
        "MB of the page": written.stat().st_size / 1e6,
    }


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="nano", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--frames", type=int, default=300)
    given = parser.parse_args()
    console = Console()
    target = runtime(given.shape)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "run.dia2trace"
        figures = follow(target, given.frames, path, console) | page(path)
    table = Table("explorer", given.shape)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.4g}")
    console.print(table)
    content = {"shape": given.shape, "torch": torch.__version__, "figures": figures}
    keep(console, f"explorer_{given.shape}", content)


if __name__ == "__main__":
    main()
