"""`dia2 trace show`, `frames` and `prefix`: the reports of a trace's family, as facts and printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from rich.console import Console

from dia2.common.errors import UsageError
from dia2.inspect.schema.adapter import adapters
from dia2.inspect.schema.report import Block, Facts, Report, Rows
from dia2.inspect.trace.reports import reports_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import NARROWEST, Page


def _print(report: Report, console: Console, least: int = NARROWEST) -> None:
    print_blocks(report.blocks, Page(console, least))


def show_facts(trace: Trace[Any], *, times: bool = True, rows: tuple[int, int] | None = None) -> Facts:
    """What a run was, and the rows that it went through.

    Args:
        trace: any trace, partial ones too.
        times: with wall times and the date, which differ between two runs that are the same otherwise.
        rows: those of these numbers alone, both included; `None`: all.

    Raises:
        UsageError: there are no such rows.
    """
    facts = reports_of(trace).show(trace, times).facts
    return facts if rows is None else facts | {"rows": _numbered(trace, facts["rows"], *rows)}


def print_show(
    trace: Trace[Any],
    console: Console,
    *,
    times: bool = True,
    full: bool = False,
    rows: tuple[int, int] | None = None,
) -> None:
    """Print what a run was, and its rows: a line each, or in `full`; then as a table from 120 columns on.

    With `rows` those of these numbers alone, both included, in full.

    Raises:
        UsageError: there are no such rows.
    """
    report = reports_of(trace).show(trace, times)
    blocks: list[Block] = []
    for block in report.blocks:
        if isinstance(block, Rows):
            chosen = block.rows if rows is None else _numbered(trace, block.rows, *rows)
            blocks.append(replace(block, rows=chosen, full=full or rows is not None))
        elif rows is None:
            blocks.append(block)
    _print(replace(report, blocks=blocks), console, least=50)


def _numbered(trace: Trace[Any], rows: Sequence[Facts], first: int, last: int) -> list[Facts]:
    numbers = [row["number"] for row in rows]
    if not (first in numbers and last in numbers and first <= last):
        has = f"{trace.adapter.title} has {numbers[0]} to {numbers[-1]}"
        raise UsageError(f"There are no rows {first} to {last}: {has}.")
    return [row for row in rows if first <= row["number"] <= last]


def _calls(trace: Trace[Any], first: int, last: int, script: int, times: bool) -> Report:
    return reports_of(trace).calls(trace, first, last, trace.check_script(script), times)


def frames_facts(trace: Trace[Any], first: int, last: int, *, script: int = 0, times: bool = True) -> Facts:
    """Calls `first` … `last`, both included, see `choose_calls`."""
    return _calls(trace, first, last, script, times).facts


def print_frames(
    trace: Trace[Any], console: Console, first: int = 0, last: int = 23, *, script: int = 0, times: bool = True
) -> None:
    """Print calls `first` … `last`, both included; as many codebooks as the width has room for."""
    _print(_calls(trace, first, last, script, times), console)


def _call(trace: Trace[Any], call: int, script: int, times: bool) -> Report:
    return reports_of(trace).call(trace, call, trace.check_script(script), times)


def frame_facts(trace: Trace[Any], call: int, *, script: int = 0, times: bool = True) -> Facts:
    """One call in full.

    Raises:
        TraceError: there is no such call.
    """
    return _call(trace, call, script, times).facts


def print_frame(trace: Trace[Any], console: Console, call: int, *, script: int = 0, times: bool = True) -> None:
    """Print one call in full.

    Raises:
        TraceError: there is no such call.
    """
    _print(_call(trace, call, script, times), console)


def _prefix(trace: Trace[Any]) -> Report:
    name = reports_of(trace).prefix
    if name is None:
        others = " and ".join(adapter.title for adapter in adapters().values() if adapter.doctor)
        raise UsageError(
            f"{trace.path} is a run of {trace.adapter.title}: `dia2 trace prefix` looks at {others}'s voice cloning "
            "only."
        )
    report: Report = resolve_name(name)(trace)
    return report


def prefix_facts(trace: Trace[Any]) -> Facts:
    """What became of a cloned voice's prefix.

    Raises:
        UsageError: runs of the trace's family have none.
    """
    return _prefix(trace).facts


def print_prefix(trace: Trace[Any], console: Console) -> None:
    """Print what became of a cloned voice's prefix, and what is wrong with it."""
    _print(_prefix(trace), console)
