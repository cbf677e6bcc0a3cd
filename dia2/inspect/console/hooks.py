"""`dia2 trace hooks`: the registry of hook points, and what a trace has of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from dia2.errors import UsageError
from dia2.hooks import MAX_CODEBOOKS, POINTS, HookPoint, numbered, select
from dia2.inspect.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, plain
from dia2.inspect.layout import LEFT_OUT
from dia2.inspect.trace import Trace

if TYPE_CHECKING:
    from dia2.inspect.dia.trace import DiaTrace

_FAMILIES = {"phase": "phases", "value": "values", "time": "times"}


def hooks_facts(trace: Trace | DiaTrace | None = None) -> Facts:
    """Every hook point; with a trace those of its model, and `trace`: whether it was recorded, and why not."""
    points = [
        {"name": point.name, "family": point.family, "of": point.of, "when": point.when, "value": point.value}
        | ({} if trace is None else {"trace": _status(trace, point)})
        for point in POINTS.values()
        if trace is None or point.of in (trace.family, "both")
    ]
    return {"path": None if trace is None else str(trace.path), "points": points}


def _status(trace: Trace | DiaTrace, point: HookPoint) -> str:
    """What a trace has of a point, in words."""
    manifest = trace.manifest
    if point.family == "phase":
        times = Counter(run.name for run in trace.phases)[point.name]
        if times:
            return "recorded" if times == 1 else f"recorded {times}×"
    elif _recorded(trace, point.name) if isinstance(trace, Trace) else _recorded_of_dia(trace, point.name):
        return "recorded"
    names = set(numbered(point.name, _codebooks(trace)))
    if not names.isdisjoint(manifest.never_fired):
        return "never fired"
    if point.name.startswith(LEFT_OUT[manifest.level]):
        return f"not kept at level {manifest.level}"
    if _left_out(manifest.hooks, names):
        return "left out by the hook filter"
    return "not in what was recorded"


def _codebooks(trace: Trace | DiaTrace) -> int:
    if isinstance(trace, Trace):
        return trace.manifest.run.model.codebooks if trace.manifest.run else MAX_CODEBOOKS
    return trace.manifest.run.model.channels if trace.manifest.run else MAX_CODEBOOKS


def _recorded(trace: Trace, name: str) -> bool:
    main = len(trace) > trace.warmup_calls
    if name.startswith("draw."):
        wanted = name.removeprefix("draw.")
        return main and any(wanted in (draw, "dep.{k}" if "." in draw else None) for draw in trace.manifest.draws)
    if name.startswith("logits."):
        return main and name.removeprefix("logits.").removesuffix(".{k}") in trace.logits(trace.warmup_calls)
    return main if POINTS[name].when == "every call of the main loop" else len(trace) > 0


def _recorded_of_dia(trace: DiaTrace, name: str) -> bool:
    loop = len(trace) > trace.prefill_calls
    if name.startswith("draw."):
        return loop and bool(trace.manifest.draws)
    if name.startswith("logits."):
        return loop and trace.logits(trace.prefill_calls) is not None
    if name == "encoder.output":
        return trace.manifest.run is not None and trace.encoder_output is not None
    if POINTS[name].when == "once a run":
        return trace.manifest.run is not None
    return loop if POINTS[name].when == "every call of the main loop" else len(trace) > 0


def _left_out(hooks: list[str] | str | None, names: set[str]) -> bool:
    if hooks is None or isinstance(hooks, str):  # none, or a predicate that cannot be asked
        return False
    try:
        return names.isdisjoint(select(hooks))
    except UsageError:  # a filter of another version
        return False


def print_hooks(console: Console, trace: Trace | DiaTrace | None = None) -> None:
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
