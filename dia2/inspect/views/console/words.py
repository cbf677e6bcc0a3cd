"""Text tokens by their words, and what the state machine made of an action."""

from __future__ import annotations

from itertools import groupby

from rich.text import Text

from dia2.adapter.machine import Part, verdict
from dia2.adapter.trace import Dia2Trace
from dia2.common.messages import printable
from dia2.inspect.views.console.page import DIM, SPEAKER, Facts, clip, plain
from dia2.runtime.state_machine import Entry


def token_facts(trace: Dia2Trace, token: int, part: Part | None) -> Facts:
    """A text token: its id, and its name or its word."""
    if part is not None:
        return _part_facts(part)
    ids = trace.model.tokens
    names = {ids.pad: "pad", ids.new_word: "new_word", ids.bos: "bos", ids.zero: "zero", ids.spk1: "[S1]"}
    return {"id": token, "name": (names | {ids.spk2: "[S2]"}).get(token)}


def token_text(facts: Facts, width: int) -> Text:
    """A text token in at most `width` cells, with its speaker and id where there is room."""
    if "word" not in facts:
        name = facts["name"]
        return plain(name or f"token {facts['id']}", DIM if name == "pad" else "bold" if name == "new_word" else "")
    tail, roomy = f" {facts['part']}/{facts['of']}", width >= 18
    head = f"S{facts['speaker']} " if roomy else ""
    tail += f" #{facts['id']}" if roomy else ""
    word = clip(facts["word"], width - len(head) - len(tail))
    return plain(head + word + tail, SPEAKER.get(facts["speaker"], "") if roomy else "")


def queue_facts(parts: list[Part]) -> list[Facts]:
    """A queue of tokens, by word."""
    return [_part_facts(part) for part in parts]


def _part_facts(part: Part) -> Facts:
    return {"id": part.token, "word": part.word, "speaker": part.speaker, "part": part.number, "of": part.of}


def queue_text(queue: list[Facts]) -> str:
    """A queue in words: `Hello 3–7 of 7 · there, 1–6 of 6`."""
    if not queue:
        return "empty"
    spans: list[str] = []
    for (word, of), group in groupby(queue, key=lambda part: (part["word"], part["of"])):
        numbers = [part["part"] for part in group]
        span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}–{numbers[-1]}"
        spans.append(f"{printable(word)} {span}/{of}")
    return " · ".join(spans)


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
        "given": found.given,
        "overruled": found.overruled,
        "outcome": found.outcome,
        "word": taken.text if taken is not None and taken.tokens else None,
    }


def action_text(action: Facts) -> str:
    """An action in at most 9 characters: `!` overruled, `~` took a break, `∅` no entry was left to take."""
    sign = {"break": "~", "end": "∅"}.get(action["outcome"], "")
    return f"{action['name']}{'!' if action['overruled'] else ''}{sign}"
