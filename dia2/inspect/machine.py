"""The state machine of a run, looked at again: which word each text token belongs to, what became of each action.

A trace has token ids and no tokenizer. The machine's two queues are played again here with labels in the place of
ids, so every token can be shown as a part of a word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from dia2.hooks import MachineRow
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
    entry: int  # index of the word among the run's entries


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
            entry = entries[taken]
            pending += _parts(entry, taken)
            taken += 1
            begins = bool(entry.tokens)
            coming = words[bisect_left(words, taken) :][:ahead] if begins else []
            if ahead and len(coming) == ahead:
                lookahead += _parts(entries[coming[-1]], coming[-1])
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


def _parts(entry: Entry, index: int) -> list[Part]:
    whole = len(entry.tokens)
    return [Part(token, entry.text, entry.speaker, i, whole, index) for i, token in enumerate(entry.tokens, 1)]


@dataclass(frozen=True)
class Verdict:
    """An action as it was drawn (or given), and what the machine made of it."""

    drawn: Literal["new_word", "pad"]
    given: bool  # forced by the prefix
    overruled: str | None  # why the machine did otherwise
    outcome: Literal["new_word", "break", "end", "pad"]  # end: a word was asked for, and none was left


def verdict(trace: Trace, call: int, taken: Entry | None) -> Verdict:
    """What became of the action of a call, at which the machine took the entry `taken`."""
    ids, row, before = trace.model.tokens, trace.machine_at(call), trace.machine_at(call - 1)
    new_word = {ids.new_word} if row.forced else {ids.action_new_word, ids.new_word}
    drawn: Literal["new_word", "pad"] = "new_word" if row.action in new_word else "pad"
    allowed, why = _constrain(drawn, row, before)
    outcome: Literal["new_word", "break", "end", "pad"] = "pad"
    if taken is not None:
        outcome = "new_word" if taken.tokens else "break"
    elif allowed == "new_word":
        outcome = "end"
    return Verdict(drawn, row.forced, why if allowed != drawn else None, outcome)


def _constrain(drawn: str, row: MachineRow, before: MachineRow) -> tuple[str, str | None]:
    """What `StateMachine` leaves of an action, and why."""
    if before.pending:
        return "pad", "tokens of a word were pending"
    if row.forced:
        return drawn, None
    if before.forced_padding > 0:
        return "pad", "forced padding was running"
    return ("new_word", "the padding budget was used up") if before.padding_budget <= 0 else (drawn, None)
