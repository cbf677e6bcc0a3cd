"""What the reports of every family say alike: the verdict, what a trace holds, and what it has not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dia2.inspect.schema.finding import FindingKind
from dia2.inspect.schema.report import Cut, Fitting, Line, Pairs, Paragraph, Rows
from dia2.inspect.schema.row import FilledRow, Row
from dia2.inspect.trace.header import (
    no_draws,
    note_blocks,
    row_facts,
    show_blocks,
    span,
    verdict_blocks,
    verdict_facts,
    whose,
)
from dia2.inspect.trace.trace import Trace

BAD = FindingKind("some-bad", "bad", "When.", "Why.", "mend it")
NOTE = FindingKind("some-note", "note", "When.", "Why.", "look")


def trace(**has: object) -> Any:
    """An object that has what is asked of a trace."""
    return cast("Trace[Any]", SimpleNamespace(**has))


def test_the_verdict_is_that_of_the_worst_script() -> None:
    found = {0: [NOTE.found("Mild.", 3)], 1: [BAD.found("Worst.", 5), NOTE.found("Mild.", 1)], 2: [BAD.found("B.", 0)]}
    of_three = trace(scripts=3, findings=lambda script: found[script])
    assert verdict_facts(of_three) == {
        "severity": "bad",
        "text": "Worst. (1 more)",
        "call": 5,
        "findings": 2,
        "fix": "mend it",
    }
    of_one = trace(scripts=1, findings=lambda script: found[script])
    assert (verdict_facts(of_one)["fix"], verdict_facts(of_one)["severity"]) == ("look", "note")


FACTS = {"severity": "bad", "text": "It broke.", "call": 7, "fix": "mend it"}


def test_a_verdict_says_where_and_what_to_do() -> None:
    assert verdict_blocks(FACTS) == [
        Paragraph([("✗ call 7: ", "failed"), "It broke."]),
        Paragraph(("→ mend it", "dim"), indent=2),
    ]
    assert verdict_blocks(FACTS | {"severity": "note", "call": 0})[0] == Paragraph(
        [("! call 0: ", "mark"), "It broke."]
    )
    assert verdict_blocks(FACTS | {"call": None, "fix": None}) == [Paragraph([("✗ ", "failed"), "It broke."])]
    good = {"severity": "good", "text": "Fine.", "call": 7, "fix": None}
    assert verdict_blocks(good) == [Paragraph([("✓ ", "label"), "Fine."])], "nobody has to look anywhere"


def test_a_report_says_how_much_was_recorded_and_when() -> None:
    facts = {
        "path": "run",
        "state": "complete",
        "complete": True,
        "verdict": FACTS,
        "level": "topk",
        "tokens_only_from": None,
        "hooks": None,
        "started": None,
        "notes": [],
        "rows": [{"number": 1}],
    }
    more = Line("more")
    *verdict, title, pairs, other, rows = show_blocks(facts, {"model": "Hum", "prefix": None}, [more])
    assert verdict == verdict_blocks(FACTS)
    assert title == Paragraph([("run", "head"), "  ", ("complete", "label")])
    assert pairs == Pairs([("recorded", "level topk"), ("model", "Hum")])
    assert (other, rows) == (more, Rows([{"number": 1}]))

    def recorded(**changes: object) -> tuple[Any, Any]:
        title, pairs = show_blocks(facts | changes, {}, [])[2:4]
        assert isinstance(title, Paragraph)
        assert isinstance(pairs, Pairs)
        return title.text, pairs.rows[0][1]

    assert recorded(tokens_only_from=0)[1] == "level topk, tokens only from call 0 on: its byte budget was reached"
    assert recorded(hooks="a predicate", started="today")[1] == "level topk, hooks a predicate, began today"
    assert recorded(hooks=["draw.*", "call"])[1] == "level topk, hooks draw.*, call"
    assert recorded(complete=False, state="partial: x")[0][2] == ("partial: x", "failed")


def test_the_first_five_notes_are_listed_in_a_line_each() -> None:
    notes = [{"call": call, "text": f"one\n  {call}"} for call in range(7)]
    listed = [(f"note at call {call}", Cut(f"one {call}")) for call in range(5)]
    assert note_blocks([]) == []
    assert note_blocks(notes[:5]) == [Pairs(listed)]
    assert note_blocks(notes[:6]) == [Pairs(listed), Line(("  and 1 more note: --json lists all", "dim"))]
    assert note_blocks(notes)[1] == Line(("  and 2 more notes: --json lists all", "dim"))


def test_a_row_tells_its_time_where_times_are_asked_for() -> None:
    row = FilledRow(Row(3, "Hum", "hum.loop:hum", "hum.loop"), "done", "a tune", "silence", "none", "notes", 0.5, "so")
    facts = {
        "number": 3,
        "title": "Hum",
        "where": "hum/loop.py → hum()",
        "status": "done",
        "trigger": "a tune",
        "before": "silence",
        "mutations": "none",
        "outputs": "notes",
        "note": "so",
    }
    assert row_facts(row, True) == facts | {"seconds": 0.5}
    assert row_facts(row, False) == facts | {"seconds": None}


@pytest.mark.parametrize(("level", "start", "call", "told"), [
    ("topk", 0, 1, "it was given"),
    ("tokens", None, 2, "a trace of level tokens keeps no logits: record with --trace-level topk."),
    ("topk", 5, 5, "from call 5 on this trace keeps tokens only: its byte budget was reached."),
    ("topk", 5, 9, "from call 5 on this trace keeps tokens only: its byte budget was reached."),
    ("topk", 5, 4, "this trace keeps no logits: its hook filter left them out."),
    ("full", None, 2, "this trace keeps no logits: its hook filter left them out."),
])  # fmt: skip
def test_why_a_call_has_no_draws(level: str, start: int | None, call: int, told: str) -> None:
    manifest = SimpleNamespace(level=level, tokens_only_from=start)
    of = trace(given_calls=2, nothing_drawn="it was given", manifest=manifest, path="run")
    assert no_draws(of, call, what="logits") == told


def test_draws_are_what_is_missing_unless_it_is_said() -> None:
    of = trace(given_calls=0, manifest=SimpleNamespace(level="tokens"))
    assert no_draws(of, 0).startswith("a trace of level tokens keeps no draws: ")


def test_a_script_is_named_where_there_are_several() -> None:
    assert whose(trace(scripts=1), 0) == []
    assert whose(trace(scripts=2), 0) == [Line(("script 1 of 2", "head"))]


def test_what_is_shown_says_how_to_see_more() -> None:
    assert span("call", 1, 3, 5) == Paragraph(("calls 1 … 3 of 0 … 4; --from 4 shows more", "dim"))
    assert span("row", 0, 4, 5) == Paragraph(("rows 0 … 4 of 0 … 4", "dim"))
    assert span("row", 0, 3, 5, "codebook") == Paragraph(
        Fitting("rows 0 … 3 of 0 … 4; --from 4 shows more", "codebook", "dim")
    )
