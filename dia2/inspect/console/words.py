"""Which word each text token belongs to, and what the state machine made of an action.

A trace has token ids and no tokenizer. The machine's two queues are played again here with labels in the place of
ids, so every token can be shown as a part of a word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from dia2.console import printable
from dia2.hooks import MachineRow
from dia2.inspect.console.page import DIM, SPEAKER, Facts, clip, plain
from dia2.inspect.trace import Trace
from dia2.runtime.state_machine import Entry


@dataclass(frozen=True)
class Part:
    """One token of a word."""

    token: int
    word: str
    speaker: int
    number: int  # from 1
    of: int


@dataclass(frozen=True)
class Labels:
    """What a call took, emitted and left in the queues, by word."""

    taken: Entry | None  # word or break
    main: Part | None  # none: no part of a word
    second: Part | None
    pending: list[Part]  # empty unless they were asked for
    lookahead: list[Part]


def labels(trace: Trace, calls: int, queues: Container[int] = ()) -> Iterator[Labels]:
    """Labels of the first `calls` calls, with the queues after those in `queues`."""
    entries, ahead = trace.run.entries, trace.model.second_stream_ahead
    words = [i for i, entry in enumerate(entries) if entry.tokens]
    taken, ended = 0, False
    pending: deque[Part] = deque()
    lookahead: deque[Part] = deque()
    consumed, ends = trace.column("consumed"), trace.column("end_step")
    for call in range(min(calls, len(trace))):
        begins, entry = False, None
        if consumed[call]:
            entry, taken = entries[taken], taken + 1
            begins = bool(entry.tokens)
            pending += _parts(entry)
            coming = words[bisect_left(words, taken) :][:ahead] if begins else []
            if ahead and len(coming) == ahead:
                lookahead += _parts(entries[coming[-1]])
        elif not ended and ends[call] >= 0:
            begins, ended = ahead > 0, True  # the last new_word, for which no word is left
        main = pending.popleft() if pending and (ahead or not begins) else None
        second = lookahead.popleft() if lookahead and not begins else None
        if not ahead:
            second = main
        emitted = int(trace.main[call]), int(trace.second[call])
        yield Labels(
            taken=entry,
            main=main if main is not None and main.token == emitted[0] else None,  # an edit can put another there
            second=second if second is not None and second.token == emitted[1] else None,
            pending=list(pending) if call in queues else [],
            lookahead=list(lookahead) if call in queues else [],
        )


def _parts(entry: Entry) -> list[Part]:
    whole = len(entry.tokens)
    return [Part(token, entry.text, entry.speaker, i, whole) for i, token in enumerate(entry.tokens, 1)]


def token_facts(trace: Trace, token: int, part: Part | None) -> Facts:
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


def action_facts(trace: Trace, call: int, taken: Entry | None) -> Facts:
    """An action as it was drawn (or given), what the machine made of it, and why that differs.

    Args:
        trace: the call's.
        call: counted from 0.
        taken: the entry that the machine took at it.
    """
    ids, row, before = trace.model.tokens, trace.machine_at(call), trace.machine_at(call - 1)
    new_word = {ids.new_word} if row.forced else {ids.action_new_word, ids.new_word}
    drawn = "new_word" if row.action in new_word else "pad"
    allowed, why = _constrain(drawn, row, before)
    outcome = "pad"
    if taken is not None:
        outcome = "new_word" if taken.tokens else "break"
    elif allowed == "new_word":
        outcome = "end"  # no entry was left
    return {
        "id": row.action,
        "name": drawn,
        "given": row.forced,
        "overruled": why if allowed != drawn else None,
        "outcome": outcome,
        "word": taken.text if taken is not None and taken.tokens else None,
    }


def action_text(action: Facts) -> str:
    """An action in at most 9 characters: `!` overruled, `~` took a break, `∅` no entry was left to take."""
    sign = {"break": "~", "end": "∅"}.get(action["outcome"], "")
    return f"{action['name']}{'!' if action['overruled'] else ''}{sign}"


def _constrain(drawn: str, row: MachineRow, before: MachineRow) -> tuple[str, str | None]:
    """What `StateMachine` leaves of an action, and why."""
    if before.pending:
        return "pad", "tokens of a word were pending"
    if row.forced:
        return drawn, None
    if before.forced_padding > 0:
        return "pad", "forced padding was running"
    return ("new_word", "the padding budget was used up") if before.padding_budget <= 0 else (drawn, None)
