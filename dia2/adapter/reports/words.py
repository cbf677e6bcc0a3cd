"""Text tokens by their words, and what the state machine made of an action."""

from __future__ import annotations

from itertools import groupby

from dia2.adapter.machine import Part as WordPart
from dia2.adapter.machine import verdict
from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.report import Cell, Cut, Facts, Part, Roomy, Style, picked
from dia2.runtime.state_machine import Entry

_ROOMY = 18  # cells from which on a token has its speaker and id beside it


def token_facts(trace: Dia2Trace, token: int, part: WordPart | None) -> Facts:
    """A text token: its id, and its name or its word."""
    if part is not None:
        return part_facts(part)
    ids = trace.model.tokens
    names = {ids.pad: "pad", ids.new_word: "new_word", ids.bos: "bos", ids.zero: "zero", ids.spk1: "[S1]"}
    return {"id": token, "name": (names | {ids.spk2: "[S2]"}).get(token)}


def part_facts(part: WordPart) -> Facts:
    """A token of a word."""
    return {"id": part.token, "word": part.word, "speaker": part.speaker, "part": part.number, "of": part.of}


def token_cell(facts: Facts) -> Cell:
    """A text token, with its speaker and id where there is room."""
    if "word" not in facts:
        return token_text(facts)
    return Roomy(token_text(facts), Cut(facts["word"], after=f" {facts['part']}/{facts['of']}"), _ROOMY)


def token_text(facts: Facts, width: int | None = None) -> Part:
    """All there is to say of a text token, a word in at most `width` cells."""
    if "word" not in facts:
        name = facts["name"]
        return name or f"token {facts['id']}", "dim" if name == "pad" else "head" if name == "new_word" else ""
    style: Style = "speaker1" if facts["speaker"] == 1 else "speaker2" if facts["speaker"] == 2 else ""
    after = f" {facts['part']}/{facts['of']} #{facts['id']}"
    return Cut(facts["word"], style, f"S{facts['speaker']} ", after, width)


def queue_text(queue: list[Facts]) -> str:
    """A queue in words: `Hello 3–7/7 · there, 1–6/6`."""
    spans: list[str] = []
    for (word, of), group in groupby(queue, key=lambda part: (part["word"], part["of"])):
        numbers = [part["part"] for part in group]
        span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
        spans.append(f"{word} {span}/{of}")
    return " · ".join(spans) or "empty"


def action_facts(trace: Dia2Trace, call: int, taken: Entry | None) -> Facts:
    """An action as it was drawn (or given), what the machine made of it, and why that differs.

    Args:
        trace: the call's.
        call: counted from 0.
        taken: the entry that the machine took at it.
    """
    found = verdict(trace, call, taken)
    return {
        "id": int(trace.actions[call]),
        "name": found.drawn,
        **picked(found, "given", "overruled", "outcome"),
        "word": taken.text if taken is not None and taken.tokens else None,
    }


def action_text(action: Facts) -> str:
    """An action in at most 9 characters: `!` overruled, `~` took a break, `∅` no entry was left to take."""
    sign = {"break": "~", "end": "∅"}.get(action["outcome"], "")
    return f"{action['name']}{'!' if action['overruled'] else ''}{sign}"
