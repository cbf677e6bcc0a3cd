"""What a batch saves, and whether its rows are the single runs.

    python benchmarks/batch.py [--dtype float32] [--rows 1 2 4 8 16] [--options use_torch_compile]

The embedded checkpoint speaks one script by several seeds: one after the other, and in batches. Milliseconds are of the
process's CPU time for each frame of each row, prefix and decoding included, so that others on the machine count little.
For the largest batch each row is compared with its single run: a row that parts from it tells at which draw, and how
much rounding had to move there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from report import keep
from rich.console import Console
from rich.table import Table

from dia2 import Dia2, Request
from dia2.adapter.parting import parting
from dia2.inspect import Dia2Trace, record

SCRIPT = "[S1] Hello there, my friend. [S2] Hi! How are you today?"


def cost(tts: Dia2, rows: int, options: dict[str, Any]) -> float:
    """Milliseconds for each frame of each row."""
    asked = [Request(SCRIPT, seed=seed, **options) for seed in range(rows)]
    if options:
        tts.generate_many(asked, max_rows=rows)  # compiles, or captures
    began = time.process_time()
    results = tts.generate_many(asked, max_rows=rows)
    spent = time.process_time() - began
    return 1e3 * spent / sum(result.frames for result in results if not isinstance(result, Exception))


def single(tts: Dia2, options: dict[str, Any]) -> float:
    """Milliseconds for each frame of a run alone."""
    tts.generate(SCRIPT, seed=0, **options)
    began = time.process_time()
    frames = sum(tts.generate(SCRIPT, seed=seed, **options).frames for seed in range(3))
    return 1e3 * (time.process_time() - began) / frames


def full(folder: str, name: str) -> Any:
    """A recording that keeps all logits."""
    return record(Path(folder) / name, level="full", doctor=False)


def partings(tts: Dia2, rows: int, options: dict[str, Any]) -> list[str]:
    """For each row of a batch where it parts from its single run, or `same`."""
    found = []
    with tempfile.TemporaryDirectory(prefix="dia2-batch-") as folder:
        for seed in range(rows):
            tts.generate(SCRIPT, seed=seed, **options, trace=full(folder, f"{seed}.alone"))
        asked = [Request(SCRIPT, seed=seed, **options, trace=full(folder, f"{seed}.row")) for seed in range(rows)]
        tts.generate_many(asked, max_rows=rows)
        for seed in range(rows):
            alone, row = (Dia2Trace.load(Path(folder) / f"{seed}.{which}") for which in ("alone", "row"))
            where = parting(alone, row)
            found.append("same" if where is None else str(where))
    return found


def main() -> None:
    """Print the tables, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--options", nargs="*", default=[], help="such as use_torch_compile, use_cuda_graph")
    arguments = parser.parse_args()
    console, options = Console(), dict.fromkeys(arguments.options, True)
    tts = Dia2.nano(dtype=arguments.dtype)
    alone = single(tts, options)
    costs = {rows: cost(tts, rows, options) for rows in arguments.rows}
    table = Table("rows", "ms a row and frame", "of a run alone")
    table.add_row("alone", f"{alone:.2f}", "")
    for rows, spent in costs.items():
        table.add_row(str(rows), f"{spent:.2f}", f"{spent / alone:.2f}")
    console.print(table)
    found = partings(tts, max(arguments.rows), options)
    console.print(f"{found.count('same')} of {len(found)} rows have the tokens of their single runs")
    for seed, where in enumerate(found):
        if where != "same":
            console.print(f"  seed {seed} parts at {where}")
    name = "_".join(["batch_nano", arguments.dtype, *arguments.options])
    keep(console, name, {"alone_ms": alone, "rows_ms": costs, "rows": found})


if __name__ == "__main__":
    main()
