"""What a sweep costs besides its runs, and what a million runs would need.

    python benchmarks/sweep.py [--runs 64] [--rows 8] [--level topk]

The embedded checkpoint speaks one script by several seeds, as `dia2 sweep` does it: in this process, side by side. The
time that is spent outside of making runs (planning, ids, reading traces back, measures, tables) is compared with what
making them takes, traces included. A million runs are that many times one of these: longer scripts and larger
checkpoints take more.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from report import keep
from rich.console import Console
from rich.table import Table

from dia2 import Dia2
from dia2.adapter.maker import Dia2Maker
from dia2.inspect.schema.maker import Made, Recorded, Settings
from dia2.inspect.sweeps import Plan, RunOptions, make

SCRIPT = "[S1] Hello there, my friend. [S2] Good morning! How are you today?"
MILLION = 1_000_000
MACHINES = (1, 10, 100)


class TimedMaker(Dia2Maker):
    """A maker that knows how long it was busy."""

    seconds = 0.0

    def make(self, runs: Sequence[tuple[Settings, Recorded]], rows: int, tell: Callable[[], object]) -> Sequence[Made]:
        """See `Maker`."""
        began = time.process_time()
        try:
            return super().make(runs, rows, tell)
        finally:
            self.seconds += time.process_time() - began


def sizes(folder: Path) -> tuple[int, int]:
    """Bytes and files beneath a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files), len(files)


def measured(count: int, rows: int, level: Any) -> dict[str, Any]:
    """Figures of a sweep of so many runs; the first ones, by which the checkpoint is loaded, do not count."""
    maker = TimedMaker(Dia2.nano())
    options = RunOptions(rows=rows, level=level)
    with tempfile.TemporaryDirectory(prefix="dia2-sweep-") as temporary:
        make(Plan({"script": [SCRIPT], "seed": range(rows)}, run=options), f"{temporary}/first", makers=[maker])
        maker.seconds, folder = 0.0, Path(temporary) / "runs"
        began = time.process_time()
        make(Plan({"script": [SCRIPT], "seed": range(count)}, run=options), folder, makers=[maker])
        whole = time.process_time() - began
        bytes_, files = sizes(folder / "traces")
        table_bytes, table_files = sizes(folder)
        began = time.process_time()
        make(Plan({"script": [SCRIPT], "seed": range(count)}, run=options), folder, makers=[maker])
        again = time.process_time() - began
    return {
        "runs": count,
        "rows": rows,
        "level": level,
        "run_ms": 1e3 * maker.seconds / count,
        "bookkeeping_ms": 1e3 * (whole - maker.seconds) / count,
        "again_ms": 1e3 * again / count,
        "trace_bytes": bytes_ / count,
        "trace_files": files / count,
        "table_bytes": (table_bytes - bytes_) / count,
        "table_files": (table_files - files) / count,
    }


def main() -> None:
    """Print the tables, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--level", default="topk", choices=("tokens", "topk", "full"))
    arguments = parser.parse_args()
    found, console = measured(arguments.runs, arguments.rows, arguments.level), Console()
    share = found["bookkeeping_ms"] / found["run_ms"]
    console.print(
        f"a run of nano takes {found['run_ms']:.0f} ms, {arguments.rows} side by side, and its bookkeeping "
        f"{found['bookkeeping_ms']:.1f} ms: {100 * share:.1f} %; {found['again_ms']:.2f} ms to see that it is there"
    )
    table = Table("a million runs need", "")
    whole = (found["run_ms"] + found["bookkeeping_ms"]) / 1e3 * MILLION / 3600
    for machines in MACHINES:
        table.add_row(f"hours of {machines} core{'s' if machines > 1 else ''}", f"{whole / machines:,.1f}")
    for kind in ("trace", "table"):
        table.add_row(f"GB of {kind}s", f"{found[f'{kind}_bytes'] * MILLION / 1e9:,.1f}")
        table.add_row(f"files of {kind}s", f"{found[f'{kind}_files'] * MILLION:,.0f}")
    console.print(table)
    keep(console, f"sweep_nano_{arguments.level}", found | {"share": share})


if __name__ == "__main__":
    main()
