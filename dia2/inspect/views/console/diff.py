"""`dia2 trace diff A B`: the first call where two runs part, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.trace.diff import Difference
from dia2.inspect.views.console.page import DIM, LABEL, MARK, Column, Facts, Page, clip, plain

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace


def diff_facts(a: Any, b: Any, ignore: Collection[str] = ()) -> Facts:
    """The difference of two traces of one model.

    Raises:
        TraceError: they are of two.
    """
    found = a.diff(b, ignore)
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
    }


def print_diff(a: Any, b: Any, console: Console, ignore: Collection[str] = ()) -> None:
    """Say where two traces part: settings, edits that one of them has, and the first call that differs."""
    page, found = Page(console), a.diff(b, ignore)
    for name, trace, calls in (("a", a, found.calls[0]), ("b", b, found.calls[1])):
        page.line((name, LABEL), "  ", str(trace.path), "  ", (f"{counted(calls, 'call')}, {trace.state}", DIM))
    if found.same:
        page.line()
        all_of = "every token, action and machine state" if isinstance(a, Dia2Trace) else "every token and countdown"
        what = f"but for {', '.join(ignore)}" if ignore else all_of
        page.line(f"The same run: {counted(found.shared, 'call')}, {what}.")
        return
    if found.settings:
        page.title("settings that differ")
        _table(page, found.settings)
    if found.edits:
        page.title("edits that only one of them has")
        for edit in found.edits:
            whose, text = ("a", edit.a) if edit.b == "none" else ("b", edit.b)
            page.paragraph(f"call {edit.call}, in {whose}: {text}", indent=2)
    page.title("the first call that differs")
    if not found.parts:
        page.paragraph(f"none: all {counted(found.shared, 'call')} are the same", indent=2)
        return
    trace = a if found.shared < len(a) else b
    page.paragraph(
        _where(trace, found.shared) if isinstance(trace, Dia2Trace) else _where_of_dia(trace, found.shared), indent=2
    )
    _table(page, found.parts, first=found.first)
    page.line()
    page.line(f"  the same before it: {counted(found.shared, 'call')}")


def _where(trace: Dia2Trace, call: int) -> str:
    """Which call, and what was being said."""
    spoken = [word for word in trace.words if word.call is not None and word.call <= call]
    near = f", in “{clip(spoken[-1].text, 24)}”" if spoken else ", before the first word"
    kind = "warm-up" if call < trace.warmup_calls else "main loop"
    return f"call {call} · {kind} · step {int(trace.steps[call])}{near}"


def _where_of_dia(trace: DiaTrace, call: int) -> str:
    does = f"reads row {call}, writes row {call + 1}" if trace.phase[call] else f"reads row {call}, which is given"
    return f"call {call} · {'loop' if trace.phase[call] else 'prefill'} · {does}"


def _table(page: Page, parts: list[Difference], first: Difference | None = None) -> None:
    value = (page.width - 4 - 26 - 4) // 2
    columns = [Column(2), Column(26), Column(value), Column(value)]
    page.row([plain(""), plain("what", LABEL), plain("a", LABEL), plain("b", LABEL)], columns, gap=1)
    for part in parts:
        mark = plain("▶", MARK) if part is first else plain("")
        page.row([mark, plain(part.what), plain(part.a), plain(part.b)], columns, gap=1)
