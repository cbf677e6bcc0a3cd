"""Everything that needs a GPU, in one call: do graphs compute what they should, how fast, and what does it take.

    python benchmarks/gpu.py [--shapes nano 300m 1b 2b] [--frames 400] [--skip compile tracing …]

Each step has a verdict of its own: one that fails, or breaks, leaves the others as they are. What is measured side by
side takes turns, in blocks of frames. Exit code 0: all is well; 1: a step is not; 2: there is no CUDA here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import gpu_cost
import gpu_dia
import gpu_exact
import torch
from report import results_folder
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from shapes import SHAPES, runtime

STEPS = (
    *("parity", "compile", "bfloat16", "stream", "speed", "tracing", "waits", "allocations", "memory", "dia"),
    "sanitizer",
)
DEVICE = "cuda"
Outcome = tuple[bool, str, dict[str, Any]]  # whether it is well, in words, in figures


@dataclass(frozen=True)
class Verdict:
    """What came of a step."""

    step: str
    well: bool
    said: str
    figures: dict[str, Any]


def attempt(step: str, work: Callable[[], Outcome]) -> Verdict:
    """Do a step; what goes wrong in it is its verdict."""
    try:
        return Verdict(step, *work())
    except Exception as error:  # noqa: BLE001  # whatever it is, the steps to come must not be lost
        first = (str(error).splitlines() or [""])[0]
        return Verdict(step, False, f"broke: {type(error).__name__}: {first}", {})


def steps(
    shapes: Sequence[str], frames: int, skip: Sequence[str], folder: Path
) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """Names and functions, in order. Nothing is built before a step asks for it: that may go wrong, too."""

    def place(name: str) -> Path:
        path = folder / name.replace(" ", "-")
        path.mkdir()
        return path

    todo = [step for step in STEPS if step not in skip]
    stats = torch.cuda.memory_stats
    bandwidth = cache(lambda: gpu_cost.read_bandwidth(DEVICE))
    once: dict[str, Callable[[], Outcome]] = {
        "parity": lambda: gpu_exact.parity(DEVICE, place("parity"), use_cuda_graph=True),
        "compile": lambda: gpu_exact.parity(DEVICE, place("compile"), use_cuda_graph=True, use_torch_compile=True),
        "bfloat16": lambda: gpu_exact.rounding(DEVICE, place("bfloat16")),
        "stream": lambda: gpu_exact.heard(DEVICE),
        "allocations": lambda: gpu_cost.second_generation(DEVICE, stats),
        "speed": lambda: (True, f"the device reads {bandwidth() / 1e9:,.0f} GB/s", {"bytes a second": bandwidth()}),
        "dia": lambda: gpu_dia.parity(DEVICE),
        "sanitizer": lambda: (True, f"to be run by hand: {sanitizer()}", {}),
    }
    yield from ((step, once[step]) for step in todo if step in once)

    def of(shape: str) -> dict[str, Callable[[], Outcome]]:
        target = cache(partial(runtime, shape, torch.bfloat16, DEVICE))  # let go with the last step of the shape
        return {
            "speed": lambda: gpu_cost.speed(target(), frames, bandwidth()),
            "stream": lambda: gpu_cost.hearing(target(), frames),
            "tracing": lambda: gpu_cost.tracing(target(), frames, place(f"tracing {shape}")),
            "waits": lambda: gpu_cost.waits(target(), gpu_cost.BLOCK),
            "allocations": lambda: gpu_cost.allocations(target(), frames, stats),
            "memory": lambda: gpu_cost.memory(target(), gpu_cost.BLOCK, place(f"memory {shape}")),
        }

    if "dia" in todo and "speed" in todo:
        yield "speed dia", lambda: gpu_dia.speed(DEVICE, frames, bandwidth())
    for shape in shapes:
        each = of(shape)
        yield from ((f"{step} {shape}", each[step]) for step in todo if step in each)


def sanitizer() -> str:
    """The command line that looks for accesses beyond a buffer."""
    return (
        "compute-sanitizer --tool memcheck --error-exitcode 1 python -m dia2 generate sanitizer.wav --nano "
        "--input '[S1] Hello.' --seed 1 --device cuda --cuda-graph"
    )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ("nano", *SHAPES)
    parser.add_argument("--shapes", nargs="+", default=list(known), choices=known)
    parser.add_argument("--frames", type=int, default=400, help="of each run that is measured")
    parser.add_argument("--skip", nargs="+", default=[], choices=STEPS, help="steps to leave out")
    return parser.parse_args(given)


def written(verdicts: Sequence[Verdict], device: str) -> str:
    """The JSON."""
    facts = {"device": device, "torch": torch.__version__, "cuda": torch.version.cuda}
    return json.dumps(facts | {"steps": [asdict(verdict) for verdict in verdicts]}, indent=1) + "\n"


def table(verdicts: Sequence[Verdict], device: str) -> Table:
    """The verdicts, one a row."""
    rows = Table("step", "", escape(device))
    for verdict in verdicts:
        rows.add_row(verdict.step, "✓" if verdict.well else "✗", escape(verdict.said))
    return rows


def main(given: Sequence[str] | None = None) -> int:
    """Print the table, keep the JSON."""
    asked = arguments(given)
    if not torch.cuda.is_available():
        print("There is no CUDA device here: run this where there is one.", file=sys.stderr)
        return 2
    console, device = Console(), torch.cuda.get_device_name()
    verdicts: list[Verdict] = []
    path = results_folder() / "gpu.json"
    with tempfile.TemporaryDirectory() as folder:
        for name, work in steps(asked.shapes, asked.frames, asked.skip, Path(folder)):
            with console.status(name):
                verdicts.append(attempt(name, work))
            console.print(f"{'✓' if verdicts[-1].well else '✗'} {name}: {verdicts[-1].said}", markup=False)
            path.write_text(written(verdicts, device), encoding="utf-8")  # each time: the next step may end it all
    console.print(table(verdicts, device))
    return 0 if all(verdict.well for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
