"""Everything that needs a GPU, in one call: do graphs compute what they should, how fast, and what does it take.

    python benchmarks/gpu.py [--seconds 480] [--shapes 2b 1b 300m nano] [--results FOLDER] [--only STEP …]

Each step is a process of its own with seconds of its own; what it finds is in FOLDER/gpu.json as soon as it says it.
Where not all steps fit into `--seconds`, some make room, in an order that --list shows. A figure that is beyond what
the device can do is a fault, not a result. Exit code 0: all steps that ran are well; 1: one is not; 2: there is no CUDA
here; 130: interrupted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gpu_child import Child
from gpu_plan import DIA_SHAPES, SHAPES, Step, chosen, kept, patient, plan
from gpu_results import FAULTS, Outcome, Results, read, table
from report import results_folder
from rich.console import Console
from rich.table import Table

DEVICE = "device"  # the step that must come first
WIDTH = 120  # of the table, where there is no terminal
NO_CUDA = "There is no CUDA device here: run this where there is one."


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=SHAPES, help="the first in every way")
    parser.add_argument("--dia", default=DIA_SHAPES[0], choices=DIA_SHAPES, help="of Dia (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=480.0, help="for all of it (default: %(default)s)")
    parser.add_argument("--measure", type=float, default=2.0, help="seconds for each thing that is timed")
    parser.add_argument("--patience", type=float, default=1.0, help="times the seconds of each step")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="steps whose names begin so; and device")
    parser.add_argument("--skip", nargs="+", default=[], metavar="STEP", help="steps to leave out")
    parser.add_argument("--results", type=Path, help="folder for gpu.json and gpu.log")
    parser.add_argument("--list", action="store_true", help="show the steps, and do nothing")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show a gpu.json, finished or not, and do nothing")
    parser.add_argument("--preload", nargs="+", default=[], metavar="MODULE", help="import these first in each process")
    parser.add_argument("--start", default="spawn", choices=("spawn", "forkserver"), help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the steps; see the module's docstring."""
    asked = arguments(given)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    only = [DEVICE, *asked.only] if asked.only else []
    steps = patient(chosen(plan(asked.shapes, asked.dia, asked.measure), only, asked.skip), asked.patience)
    if asked.list:
        console.print(listed(steps, asked.seconds))
        return 0
    if asked.show is not None:
        content, outcomes = read(asked.show)
        console.print(table(content["device"], outcomes))
        return verdict(outcomes)
    folder = asked.results or results_folder()
    folder.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, _interrupt)
    if asked.start == "forkserver":
        multiprocessing.set_forkserver_preload([*asked.preload, "gpu_runs"])
    log = folder / "gpu.log"
    log.write_text("", encoding="utf-8")
    results = Results(folder / "gpu.json", steps, asked.seconds)
    try:
        run(steps, results, console, log, preload=asked.preload, start=asked.start)
    except KeyboardInterrupt:
        console.print(f"interrupted; what there is stands in {folder / 'gpu.json'}")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    outcomes = list(results.outcomes.values())
    if results.device.get("available") is False:
        print(NO_CUDA, file=sys.stderr)
        return 2
    console.print(table(results.device, outcomes))
    console.print(summary(outcomes, results.spent, asked.seconds), markup=False)
    console.print(f"written to {folder / 'gpu.json'}", markup=False)
    return verdict(outcomes)


def run(
    steps: Sequence[Step], results: Results, console: Console, log: Path, *, preload: Sequence[str], start: str
) -> None:
    """Do the steps, one after the other; the process of the next one imports what it needs meanwhile."""
    todo, ahead = list(steps), None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            while todo:
                step = todo.pop(0)
                child, ahead = ahead, None
                left = results.budget - results.spent
                stay = kept([step, *todo], left)
                if step not in stay:
                    if child is not None:
                        child.end()
                    outcome = results.drop(step.name, _dropped(step, stay, left))
                else:
                    child = child or Child(step, Path(scratch), preload, start)
                    if todo and todo[0] in stay:
                        ahead = Child(todo[0], Path(scratch), preload, start)
                    outcome = _do(step, child, left - sum(one.needs for one in stay[1:]), results, console, log)
                _tell(console, outcome)
                if step.name == DEVICE and not results.device.get("available"):
                    return  # nothing, or nothing that could be known, is there to be measured
        finally:
            if ahead is not None:
                ahead.end()


def _do(step: Step, child: Child, left: float, results: Results, console: Console, log: Path) -> Outcome:
    results.begin(step.name)
    began = time.monotonic()
    try:
        with console.status(step.name):
            how = child.run(step.seconds, left, lambda kind, content: results.hear(step.name, kind, content))
    finally:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"== {step.name}\n{child.tail(None)}\n")
    spent = time.monotonic() - began
    state, why = {
        "end": ("well", ""),
        "died": ("died", f"its process died: {child.exit}"),
        "cut": ("hung", f"not done after {spent:.0f} s; gpu.log shows where it was"),
    }[how]
    if how == "cut" and step.least is not None:
        state, why = "cut", f"cut after {spent:.0f} s"
    return results.end(step.name, state, why, spent, child.tail())


def _dropped(step: Step, stay: Sequence[Step], left: float) -> str:
    others = sum(one.needs for one in stay)
    kept_for = f", {others:.0f} s of them kept for {len(stay)} steps that go first" if stay else ""
    return f"dropped: it needs {step.needs:.0f} s, and {max(left, 0):.0f} s are left{kept_for}"


def _tell(console: Console, outcome: Outcome) -> None:
    lines = [f"{outcome.state}: {outcome.step}, {outcome.seconds:.1f} s", *outcome.faults]
    if outcome.why:
        lines.append(outcome.why)
    if outcome.log:
        lines += [f"| {line}" for line in outcome.log.strip().splitlines()[-3:]]
    console.print("\n    ".join(lines), markup=False, highlight=False, soft_wrap=True)


def verdict(outcomes: Sequence[Outcome]) -> int:
    """The exit code: 1 if a step that ran is not well."""
    return 1 if any(outcome.state in FAULTS for outcome in outcomes) else 0


def summary(outcomes: Sequence[Outcome], spent: float, budget: float) -> str:
    """How many steps came to what, and which did not run; a line each."""
    lines = [f"{len(outcomes)} steps in {spent:.0f} of {budget:.0f} s"]
    for state in ("well", *FAULTS, "cut", "dropped", "waiting"):
        names = [outcome.step for outcome in outcomes if outcome.state == state]
        if names:
            lines.append(f"{state}: {len(names)}" if state == "well" else f"{state}: {', '.join(names)}")
    return "\n".join(lines)


def listed(steps: Sequence[Step], budget: float) -> Table:
    """The steps with their seconds, and in which order they make room."""
    order = sorted(steps, key=lambda step: -step.drop)
    rows = Table("step", "s at most", "makes room as no.", title=f"{len(steps)} steps, {budget:.0f} s for all of them")
    for step in steps:
        least = "" if step.least is None else f" (or what is left, from {step.least:.0f} s on)"
        rows.add_row(step.name, f"{step.seconds:.0f}{least}", str(1 + order.index(step)))
    return rows


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
