"""`dia2 trace hooks`: the registry of hook points, and what a trace has of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console

from dia2.common.errors import UsageError
from dia2.common.hooks import HookPoint, listed, numbered, select
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, plain

_FAMILIES = {"phase": "phases", "value": "values", "time": "times"}


def hooks_facts(trace: Trace[Any] | None = None) -> Facts:
    """Every hook point; with a trace those of its model, and `trace`: whether it was recorded, and why not."""
    points = [
        {"name": point.name, "family": point.family, "of": point.of, "when": point.when, "value": point.value}
        | ({} if trace is None else {"trace": _status(trace, point)})
        for point in listed()
        if trace is None or trace.family in point.models
    ]
    return {"path": None if trace is None else str(trace.path), "points": points}


def _status(trace: Trace[Any], point: HookPoint) -> str:
    """What a trace has of a point, in words."""
    manifest = trace.manifest
    if point.family == "phase":
        times = Counter(run.name for run in trace.phases)[point.name]
        if times:
            return "recorded" if times == 1 else f"recorded {times}×"
    elif trace.recorded(point):
        return "recorded"
    names = set(numbered(point.name, trace.codebooks))
    if not names.isdisjoint(manifest.never_fired):
        return "never fired"
    if not point.recorded_at(manifest.level):
        return f"not kept at level {manifest.level}"
    if _left_out(manifest.hooks, names):
        return "left out by the hook filter"
    return "not in what was recorded"


def _left_out(hooks: list[str] | str | None, names: set[str]) -> bool:
    if hooks is None or isinstance(hooks, str):  # none, or a predicate that cannot be asked
        return False
    try:
        return names.isdisjoint(select(hooks))
    except UsageError:  # a filter of another version
        return False


def print_hooks(console: Console, trace: Trace[Any] | None = None) -> None:
    """Print the registry, a block per family and moment."""
    facts, page = hooks_facts(trace), Page(console)
    if trace is not None:
        page.paragraph(plain(facts["path"], HEAD))
        page.line()
    status = max((len(point["trace"]) for point in facts["points"]), default=0) if trace is not None else 0
    longest = max(len(point["value"]) for point in facts["points"])
    last = status or len("dia2")  # what a trace has of a point, or without one whose point it is
    columns = [Column(21), Column(min(longest, page.width - 25 - last - 2)), Column(last)]
    blocks: dict[tuple[str, str], list[Facts]] = {}
    for point in facts["points"]:
        blocks.setdefault((point["family"], point["when"]), []).append(point)
    for number, ((family, when), points) in enumerate(blocks.items()):
        if number:
            page.line()
        page.line((_FAMILIES[family], HEAD), (f": {when}", DIM))
        for point in points:
            told = point["trace"] if trace is not None else point["of"]
            style = MARK if told == "never fired" else "" if told.startswith("recorded") or trace is None else DIM
            page.row([plain(point["name"], LABEL), plain(point["value"]), plain(told, style)], columns, indent=2)
