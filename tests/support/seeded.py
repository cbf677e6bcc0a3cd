"""Runs of nano with one known fault each, and clean ones: what the findings are measured by.

    python -m tests.support.seeded FOLDER [KIND …]

makes them all, or those of some kinds, and prints the table of docs/findings.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from dia2.adapter.trace import Dia2Trace
from dia2.inspect import load
from dia2.inspect.schema.finding import Finding

from .seeded_clones import clean_clones, clones, slips
from .seeded_heard import clean_heard, heard_clones, heard_runs, whisper
from .seeded_runs import Make, Seeded, clean_runs, runs

TOLERANCE = 3  # calls between where a fault is and where it is said to be


def seeded() -> list[Seeded]:
    """Runs with a fault."""
    return [*clones(), *runs(), *slips(), *heard_clones(), *heard_runs()]


def clean() -> list[tuple[str, Make]]:
    """Runs without one."""
    return [*clean_runs(), *clean_clones(), *clean_heard()]


def named(case: Seeded, trace: Dia2Trace, found: Sequence[Finding]) -> bool:
    """Whether the fault is among the findings, and where it is; of a shift, that the calls hold where it begins."""
    at, holds = case.at(trace), case.kind == "prefix-shift"
    return any(
        one.kind == case.kind and one.call - TOLERANCE <= at <= (one.until if holds else one.call) + TOLERANCE
        for one in found
    )


def findings_of(case: Seeded, path: Path) -> list[Finding]:
    """What is found in a run; with Whisper, if that is what it takes."""
    model = whisper() if case.hear else None
    return list(load(path).findings() if model is None else load(path).findings(hear=True, whisper=model))


def measure(folder: Path, kinds: Collection[str]) -> Iterator[str]:
    """Make the runs of some kinds, of all if none is given ("clean": those without), and say what was found."""
    told, total, bad, count = Counter[str](), Counter[str](), 0, 0
    for number, case in enumerate(seeded()):
        if kinds and case.kind not in kinds:
            continue
        place = folder / f"{number:02}"
        place.mkdir(parents=True)
        path = case.make(place)
        trace: Any = load(path)
        found = findings_of(case, path)
        total[case.kind] += 1
        if named(case, trace, found):
            told[case.kind] += 1
        else:
            places = ", ".join(f"{one.kind} {one.call} … {one.until}" for one in found)
            yield f"missed: {number:02} {case.kind}, {case.name}, at call {case.at(trace)}: {places or 'nothing'}"
    for name, make in [] if kinds and "clean" not in kinds else clean():
        place = folder / name.replace(" ", "-")
        place.mkdir(parents=True)
        alarms = [one for one in load(make(place)).findings() if one.severity == "bad"]
        count, bad = count + 1, bad + bool(alarms)
        yield from (f"false: {name}: {one.kind} at call {one.call}: {one.text}" for one in alarms)
    yield "| kind | named, in its place |"
    yield "| --- | --- |"
    yield from (f"| `{kind}` | {told[kind]} of {number} |" for kind, number in total.items())
    yield f"| all | {sum(told.values())} of {sum(total.values())} |"
    yield f"| clean runs with something `bad` | {bad} of {count} |"


def main() -> int:
    """Make the runs in a folder, and print what was found."""
    for line in measure(Path(sys.argv[1]), sys.argv[2:]):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
