"""`dia2 trace diff A B`: the first call where two runs part, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from rich.console import Console

from dia2.inspect.console.page import DIM, LABEL, MARK, Column, Facts, Page, clip, plain
from dia2.inspect.describe import count
from dia2.inspect.diff import Diff, Difference, diff
from dia2.inspect.trace import Trace


def diff_facts(a: Trace, b: Trace, ignore: Collection[str] = ()) -> Facts:
    """The difference of two traces."""
    found = diff(a, b, ignore)
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


def print_diff(a: Trace, b: Trace, console: Console, ignore: Collection[str] = ()) -> None:
    """Say where two traces part: settings, edits that one of them has, and the first call that differs."""
    page, found = Page(console), diff(a, b, ignore)
    for name, trace, calls in (("a", a, found.calls[0]), ("b", b, found.calls[1])):
        page.line((name, LABEL), "  ", str(trace.path), "  ", (f"{count(calls, 'call')}, {trace.state}", DIM))
    if found.same:
        page.line()
        what = f"but for {', '.join(ignore)}" if ignore else "every token, action and machine state"
        page.line(f"The same run: {count(found.shared, 'call')}, {what}.")
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
        page.paragraph(f"none: all {count(found.shared, 'call')} are the same", indent=2)
        return
    page.paragraph(_where(a, b, found), indent=2)
    _table(page, found.parts, first=found.first)
    page.line()
    page.line(f"  the same before it: {count(found.shared, 'call')}")


def _where(a: Trace, b: Trace, found: Diff) -> str:
    """Which call, and what was being said."""
    trace = a if found.shared < len(a) else b
    step = int(trace.steps[found.shared])
    spoken = [word for word in trace.words if word.call is not None and word.call <= found.shared]
    near = f", in “{clip(spoken[-1].text, 24)}”" if spoken else ", before the first word"
    kind = "warm-up" if found.shared < trace.warmup_calls else "main loop"
    return f"call {found.shared} · {kind} · step {step}{near}"


def _table(page: Page, parts: list[Difference], first: Difference | None = None) -> None:
    value = (page.width - 4 - 26 - 4) // 2
    columns = [Column(2), Column(26), Column(value), Column(value)]
    page.row([plain(""), plain("what", LABEL), plain("a", LABEL), plain("b", LABEL)], columns, gap=1)
    for part in parts:
        mark = plain("▶", MARK) if part is first else plain("")
        page.row([mark, plain(part.what), plain(part.a), plain(part.b)], columns, gap=1)
