"""`dia2 trace hooks`: the registry of hook points, and what a trace has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from dia2.common.errors import UsageError
from dia2.common.hooks import HookPoint, listed, numbered, select
from dia2.inspect.schema.report import Block, Cell, Column, Facts, Flex, Line, Paragraph, Style, Table, picked
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import Page

_FAMILIES = {"phase": "phases", "value": "values", "time": "times", "act": "activations"}


def hooks_facts(trace: Trace[Any] | None = None) -> Facts:
    """Every hook point; with a trace those of its model, and `trace`: whether it was recorded, and why not."""
    points = [
        picked(point, "name", "family", "of", "when", "value")
        | ({} if trace is None else {"trace": _status(trace, point)})
        for point in listed()
        if trace is None or trace.family in point.models
    ]
    return {"path": None if trace is None else str(trace.path), "points": points}


def _status(trace: Trace[Any], point: HookPoint) -> str:
    """What a trace has of a point, in words."""
    manifest = trace.manifest
    if point.activation is not None:
        return "by replay"
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
    print_blocks(_blocks(hooks_facts(trace)), Page(console))


def _blocks(facts: Facts) -> Iterator[Block]:
    if facts["path"] is not None:
        yield from (Paragraph((facts["path"], "head")), Line())
    last = "of" if facts["path"] is None else "trace"  # whose a point is, or what the trace has of it
    points = facts["points"]
    room = max(len(point[last]) for point in points)
    value = max(len(point["value"]) for point in points)

    def told(point: Facts) -> Cell:
        style: Style = "" if last == "of" or point[last].startswith("recorded") else "dim"
        return point[last], "mark" if point[last] == "never fired" else style

    groups: dict[tuple[str, str], list[Facts]] = {}
    for point in points:
        groups.setdefault((point["family"], point["when"]), []).append(point)
    for number, ((family, when), group) in enumerate(groups.items()):
        if number:
            yield Line()
        yield Line([(_FAMILIES[family], "head"), (f": {when}", "dim")])
        yield Table.of(
            group,
            (Column(width=21), lambda point: (point["name"], "label")),
            (Column(), lambda point: point["value"]),
            (Column(width=room), told),
            indent=2,
            flex=Flex(most=value),
        )
