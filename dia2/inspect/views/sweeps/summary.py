"""A sweep in a terminal: for each value of each setting how many runs, how many failed, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Cell, Column, Cut, Facts, Flex, Line, Report, Table
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import Page
from dia2.inspect.views.sweeps.gathered import Gathered, RunColumn, gather
from dia2.inspect.views.sweeps.telling import telling

MEASURES = 3  # that are shown
MOST_VALUES = 12  # of a setting
_NUMBER = 6  # cells
_WIDEST = 24  # of a measure's name


def summary(found: Gathered) -> Report:
    """What came out of a sweep, setting by setting."""
    measures = telling(found, MEASURES)
    facts: Facts = {"runs": len(found), "failed": int(found.failed.sum()), "settings": {}}
    blocks: list[Block] = []
    for axis in found.axes:
        rows = list(_rows(found, axis, measures))
        facts["settings"][axis.name] = rows
        blocks += [Line(), _table(axis.name, rows[:MOST_VALUES], measures)]
        if len(rows) > MOST_VALUES:
            blocks.append(Line((f"  … and {counted(len(rows) - MOST_VALUES, 'more value')}", "dim")))
    if measures and blocks:
        blocks.append(
            Line(("  means of the runs that are done; of all measures those that a setting moves most", "dim"))
        )
    return Report(facts, blocks)


def print_summary(destination: str | Path, console: Console) -> None:
    """Print the summary of a dataset.

    Raises:
        UsageError: there is none.
        Dia2Error: it is damaged, or cannot be read.
    """
    print_blocks(summary(gather(destination)).blocks, Page(console))


def summary_lines(found: Gathered) -> list[str]:
    """The same in a few words, for where nothing is drawn."""
    failed = int(found.failed.sum())
    first = f"{counted(len(found), 'run')}, {f'{failed:,} of them failed' if failed else 'none of which failed'}."
    lines = [first]
    measure = next(iter(telling(found, 1)), None)
    for axis in found.axes[:4]:
        rows = list(_rows(found, axis, [] if measure is None else [measure]))[:6]
        means = [
            axis.told(row["value"]) + ("" if measure is None else f": {measure.name} {_mean(row['means'][0])}")
            for row in rows
        ]
        more = axis.distinct - len(rows)
        lines.append(f"{axis.name} {', '.join(means)}{f' … and {more} more' if more else ''}")
    return lines


def _rows(found: Gathered, axis: RunColumn, measures: Sequence[RunColumn]) -> Iterator[Facts]:
    none = axis.values < 0 if axis.kind == "text" else np.isnan(axis.values)
    for value in np.unique(axis.values[~none]):
        here = axis.values == value
        done = here & ~found.failed
        yield {
            "value": float(value),
            "told": axis.told(value),
            "runs": int(here.sum()),
            "failed": int((here & found.failed).sum()),
            "means": [_mean_of(measure.values[done]) for measure in measures],
        }


def _mean_of(values: np.ndarray) -> float | None:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else None


def _mean(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _table(name: str, rows: Sequence[Facts], measures: Sequence[RunColumn]) -> Table:
    columns = [Column(name), Column("runs", _NUMBER, "right"), Column("failed", _NUMBER, "right")]
    columns += [
        Column(one.name[:_WIDEST], max(_NUMBER, min(_WIDEST, len(one.name))), "right", True) for one in measures
    ]
    cells: list[list[Cell]] = [
        [
            Cut(row["told"]),
            f"{row['runs']:,}",
            (f"{row['failed']:,}", "failed" if row["failed"] else "dim"),
            *(_mean(mean) for mean in row["means"]),
        ]
        for row in rows
    ]
    return Table(columns, cells, indent=2, flex=Flex(least=12, most=40, early=22))
