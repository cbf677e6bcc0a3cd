"""What `dia2 sweep` and `dia2 query` run."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dia2.common.errors import UsageError
from dia2.common.files import check_writable
from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.sweeps.plan import read_plan
from dia2.inspect.sweeps.query import query
from dia2.inspect.sweeps.sweep import SweepProgress, Tell, make

MOST_ROWS = 500  # of an answer that is shown to people
_FAILED = 10  # failed runs that are named
_WIDEST = 10_000  # columns of an answer that is not shown in a terminal


def run_sweep(args: argparse.Namespace, show: Callable[[str, Console], object], write: Callable[..., Path]) -> int:
    """Make a sweep.

    Args:
        args: of the command.
        show: prints what is in the dataset, by the values of its settings.
        write: writes the explorer of the dataset to a file; see `dia2.inspect.sweep_to_html`.

    Returns:
        The exit code: 1 if runs failed.
    """
    plan = read_plan(args.plan)
    if args.html is not None:
        check_writable(args.html)
    given = {name: getattr(args, name) for name in ("on", "rows", "level", "voice")}
    plan = replace(plan, run=replace(plan.run, **{name: value for name, value in given.items() if value is not None}))
    shown = not (args.quiet or args.json)
    if shown:
        Console(stderr=True).print(printable(str(plan)), highlight=False, markup=False)
    with bar(shown) as tell:
        made = make(plan, args.output, again=args.again, tell=tell)
    page = None if args.html is None else write(args.output, args.html, voice=plan.run.voice)
    if args.json:
        found = {"url": made.url, "runs": len(made.runs), "made": made.made, "found": made.found, "failed": made.failed}
        found |= {"failed_before": made.failed_before, "seconds": made.seconds}
        if page is not None:
            found["html"] = str(page)
        print(json.dumps(found, ensure_ascii=False))  # noqa: T201  # the command's output
    elif shown:
        console = Console()
        for run, why in list(made.failed.items())[:_FAILED]:
            _say(console, f"failed: {run}: {why}")
        _say(console, str(made))
        show(args.output, console)
        if page is not None:
            _say(console, f"explorer: {page}")
    return int(bool(made.failed or made.failed_before))


def _say(console: Console, text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def run_query(args: argparse.Namespace) -> int:
    """Answer a question; returns the exit code."""
    if args.json and args.csv:
        raise UsageError("Choose --json or --csv: an answer is printed in one way.")
    names, rows = query(args.dataset, args.sql)
    if args.json:
        found = [dict(zip(names, map(_as_json, row), strict=True)) for row in rows]
        print(json.dumps(found))  # noqa: T201  # the command's output
    elif args.csv:
        writer, plain = csv.writer(sys.stdout), printable if sys.stdout.isatty() else str
        writer.writerow([plain(name) for name in names])
        writer.writerows([plain(value) if isinstance(value, str) else value for value in row] for row in rows)
    else:
        _print_table(names, rows)
    return 0


@contextmanager
def bar(shown: bool) -> Iterator[Tell | None]:
    """A bar that says how many runs are made, how fast, and how long it will take; rich draws it, in notebooks too."""
    if not shown:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("sweeping"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None, pace="")

        def tell(now: SweepProgress) -> None:
            drawn.update(task, completed=now.done, total=now.total, pace=pace(now))

        yield tell


def pace(now: SweepProgress) -> str:
    """How fast a sweep goes, in a few words."""
    parts = []
    if now.frames and now.seconds:
        parts.append(f"{now.frames / now.seconds:.0f} frames/s")
    if now.left is not None and now.done < now.total:
        parts.append(f"{_span(now.left)} left")
    if now.failed:
        parts.append(f"{now.failed} failed")
    return " · ".join(parts)


def _span(seconds: float) -> str:
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 120 else f"{hours:.1f} h"


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    console = Console()
    if not console.is_terminal:  # a file has room
        console = Console(width=_WIDEST)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(names):
        numbers = all(isinstance(row[number], int | float | None) for row in rows)
        table.add_column(Text(printable(name)), overflow="fold", justify="right" if numbers else "left")
    for row in rows[:MOST_ROWS]:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    if len(rows) > MOST_ROWS:
        more = counted(len(rows) - MOST_ROWS, "more row")
        console.print(f"… and {more}: say limit in the query, or --csv", highlight=False)


def _cell(value: Any) -> Any:
    if value is None:
        return Text("–", "dim")
    return Text(printable(f"{value:.6g}" if isinstance(value, float) else str(value)))


def _as_json(value: Any) -> Any:
    """A value of SQL as JSON has it: what is neither a number, a flag nor null there, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): _as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
