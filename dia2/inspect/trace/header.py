"""What the reports of every family say alike: which trace it is, what it went through, what is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Cut, Facts, Fitting, Line, Pairs, Paragraph, Rows, Style, Text, picked
from dia2.inspect.schema.row import FilledRow
from dia2.inspect.trace.findings import judged
from dia2.inspect.trace.noted import readable_notes
from dia2.inspect.trace.trace import Trace

_MOST_NOTES = 5  # that are listed


def verdict_facts(trace: Trace[Any]) -> Facts:
    """What the findings of a run come to; `fix` of the worst."""
    judgements = [judged(trace, script) for script in range(trace.scripts)]
    found, said = min(judgements, key=lambda one: ("bad", "note", "good").index(one[1].severity))
    return vars(said) | {"findings": len(found), "fix": found[0].fix if found else None}


def state_facts(trace: Trace[Any], times: bool) -> Facts:
    """What is wrong with a run, and how much of it a trace holds."""
    facts: Facts = {"verdict": verdict_facts(trace)}
    facts |= picked(trace, "state", "complete") | {"started": trace.manifest.started if times else None}
    facts["notes"] = readable_notes(trace)
    return facts | picked(trace.manifest, "level", "hooks", "tokens_only_from")


SIGNS: dict[str, tuple[str, Style]] = {"bad": ("✗", "failed"), "note": ("!", "mark"), "good": ("✓", "label")}


def verdict_blocks(facts: Facts) -> list[Block]:
    """The first lines of a report: what is wrong, where, and what to do."""
    sign, style = SIGNS[facts["severity"]]
    where = "" if facts["call"] is None or facts["severity"] == "good" else f"call {facts['call']}: "
    blocks: list[Block] = [Paragraph([(f"{sign} {where}", style), facts["text"]])]
    if facts["fix"]:
        blocks.append(Paragraph((f"→ {facts['fix']}", "dim"), indent=2))
    return blocks


def row_facts(filled: FilledRow, times: bool) -> Facts:
    """A row of what the run went through."""
    facts = picked(filled.row, "number", "title", "where")
    facts |= picked(filled, "status", "trigger", "before", "mutations", "outputs")
    return facts | {"seconds": filled.seconds if times else None, "note": filled.note}


def show_blocks(facts: Facts, pairs: dict[str, str | None], more: list[Block]) -> list[Block]:
    """What is wrong; which trace it is, whether it is whole, how much was recorded and when; `pairs`, `more`, the rows.

    Args:
        facts: path, verdict, those of `state_facts`, and rows.
        pairs: labels with what belongs to them; `None`: they are left out.
        more: stands before the rows.
    """
    level = f"level {facts['level']}"
    if facts["tokens_only_from"] is not None:
        level += f", tokens only from call {facts['tokens_only_from']} on: its byte budget was reached"
    if facts["hooks"] is not None:
        hooks = facts["hooks"]
        level += f", hooks {hooks if isinstance(hooks, str) else ', '.join(hooks)}"
    began = f", began {facts['started']}" if facts["started"] else ""
    told = {"recorded": level + began} | {name: text for name, text in pairs.items() if text is not None}
    title: Text = [(facts["path"], "head"), "  ", (facts["state"], "label" if facts["complete"] else "failed")]
    said = verdict_blocks(facts["verdict"])
    noted = note_blocks(facts["notes"])
    return [*said, Paragraph(title), Pairs([*told.items()]), *noted, *more, Rows(facts["rows"])]


def note_blocks(notes: Sequence[Facts]) -> list[Block]:
    """The first of the notes, each in a line, and how many more there are."""
    if not notes:
        return []
    shown = [
        (f"note at call {note['call']}", Cut(printable(" ".join(note["text"].split())))) for note in notes[:_MOST_NOTES]
    ]
    left = len(notes) - len(shown)
    more = [Line((f"  and {counted(left, 'more note')}: --json lists all", "dim"))] if left else []
    return [Pairs(shown), *more]


def no_draws(trace: Trace[Any], call: int, *, what: str = "draws") -> str:
    """Why a call has no draws, in words.

    Args:
        trace: the call's.
        call: counted from 0.
        what: the trace does not keep.
    """
    if call < trace.given_calls:
        return trace.nothing_drawn
    if trace.manifest.level == "tokens":
        return f"a trace of level tokens keeps no {what}: record with --trace-level topk."
    start = trace.manifest.tokens_only_from
    if start is not None and call >= start:
        return f"from call {start} on this trace keeps tokens only: its byte budget was reached."
    return f"this trace keeps no {what}: its hook filter left them out."


def whose(trace: Trace[Any], script: int) -> list[Block]:
    """Of which script a report is, counted from 1 as its files are, where there are several."""
    return [Line((f"script {script + 1} of {trace.scripts}", "head"))] if trace.scripts > 1 else []


def span(what: str, first: int, last: int, count: int, book: str = "") -> Paragraph:
    """Which calls, columns or rows are shown, how to see more, and how many `book`s a table had room for."""
    more = f"; --from {last + 1} shows more" if last + 1 < count else ""
    told = f"{what}s {first} … {last} of 0 … {count - 1}{more}"
    return Paragraph(Fitting(told, book, "dim") if book else (told, "dim"))
