"""`dia2 trace diff A B`: the first call where two runs part, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict
from pkgutil import resolve_name
from typing import Any

from rich.console import Console

from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Column, Facts, Line, Paragraph, Table, Title
from dia2.inspect.trace.diff import Diff, Difference
from dia2.inspect.trace.reports import reports_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import Page


def diff_facts(a: Trace[Any], b: Trace[Any], ignore: Collection[str] = ()) -> Facts:
    """The difference of two traces of one model.

    Raises:
        TraceError: they are of two.
    """
    found, parting = a.diff(b, ignore), _parting(a, b)
    return {
        "a": str(a.path),
        "b": str(b.path),
        "ignored": list(ignore),
        "same": found.same,
        "first": None if found.first is None else asdict(found.first),
        "settings": [asdict(part) for part in found.settings],
        "edits": [asdict(part) for part in found.edits],
        "parts": [asdict(part) for part in found.parts],
        "shared_calls": found.shared,
        "calls": list(found.calls),
        "parting": None if parting is None else asdict(parting),
    }


def print_diff(a: Trace[Any], b: Trace[Any], console: Console, ignore: Collection[str] = ()) -> None:
    """Say where two traces part: settings, edits that one of them has, and the first call that differs."""
    print_blocks(_blocks(a, b, a.diff(b, ignore), ignore), Page(console))


def _blocks(a: Trace[Any], b: Trace[Any], found: Diff, ignore: Collection[str]) -> Iterator[Block]:
    for name, trace, calls in (("a", a, found.calls[0]), ("b", b, found.calls[1])):
        yield Line([(name, "label"), f"  {trace.path}  ", (f"{counted(calls, 'call')}, {trace.state}", "dim")])
    shared = counted(found.shared, "call")
    if found.same:
        what = f"but for {', '.join(ignore)}" if ignore else reports_of(a).compared
        yield from (Line(), Line(f"The same run: {shared}, {what}."))
        return
    if found.settings:
        yield from (Title("settings that differ"), _table(found.settings))
    if found.edits:
        yield Title("edits that only one of them has")
        for edit in found.edits:
            whose, text = ("a", edit.a) if edit.b == "none" else ("b", edit.b)
            yield Paragraph(f"call {edit.call}, in {whose}: {text}", indent=2)
    yield Title("the first call that differs")
    if not found.parts:
        yield Paragraph(f"none: all {shared} are the same", indent=2)
        return
    longer = a if found.shared < len(a) else b
    yield Paragraph(reports_of(longer).where(longer, found.shared), indent=2)
    yield _table(found.parts, found.first)
    parting = _parting(a, b)
    if parting is not None:
        yield from (Line(), Paragraph(f"Settings and past are the same, so this draw parts them: {parting}.", indent=2))
    yield from (Line(), Line(f"  the same before it: {shared}"))


def _parting(a: Trace[Any], b: Trace[Any]) -> Any:
    """The draw at which they part, if their family knows it, and only rounding does it; it has a text and fields."""
    name = reports_of(a).parting
    return None if name is None else resolve_name(name)(a, b)


def _table(parts: list[Difference], first: Difference | None = None) -> Table:
    return Table.of(
        parts,
        (Column(width=2), lambda part: ("▶" if part is first else "", "mark")),
        (Column("what", 26), lambda part: part.what),
        (Column("a"), lambda part: part.a),
        (Column("b"), lambda part: part.b),
        gap=1,
        margin=3,
        heads="label",
    )
