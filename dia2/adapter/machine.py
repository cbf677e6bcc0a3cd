"""The state machine of a run, looked at again: which word each text token belongs to, what became of each action.

A trace has token ids and no tokenizer. The machine's two queues are played again here with labels in the place of
ids, so every token can be shown as a part of a word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dia2.common.brief import brief_repr
from dia2.runtime.observed import MachineRow
from dia2.runtime.state_machine import Entry, TokenIds

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def before_first(ids: TokenIds, initial_padding: int, entries_left: int) -> MachineRow:
    """The state machine before step 0, in the form in which later states come."""
    return MachineRow(
        step=-1,
        action=-1,
        forced=False,
        main=ids.bos,
        second=ids.pad,
        consumed=False,
        padding_budget=initial_padding,
        forced_padding=initial_padding,
        entries_left=entries_left,
        pending=[],
        lookahead=[],
        end_step=None,
    )


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

    __repr__ = brief_repr

    taken: Entry | None  # word or break
    main: Part | None  # `None`: no part of a word
    second: Part | None
    pending: list[Part]  # empty unless they were asked for
    lookahead: list[Part]


class Queues:
    """The machine's two queues, played again one call after another."""

    def __init__(self, entries: Sequence[Entry], ahead: int) -> None:
        """Begin before the first call.

        Args:
            entries: of the run; those of streamed text may be added while calls are played.
            ahead: words by which the second stream looks ahead.
        """
        self._entries, self._ahead = entries, ahead
        self._taken, self._ended = 0, False
        self._words: list[int] = []  # indices of the words among the first `_scanned` entries
        self._scanned = 0
        self._pending: deque[Part] = deque()
        self._lookahead: deque[Part] = deque()

    def step(self, consumed: bool, ended: bool, emitted: tuple[int, int], *, queues: bool = True) -> Labels:
        """Play a call.

        Args:
            consumed: it took an entry.
            ended: the end is reached, by this call or before.
            emitted: the tokens that it put into the two streams.
            queues: copy what is left in the queues.
        """
        begins, entry = False, None
        if consumed:
            entry = self._entries[self._taken]
            self._pending += _parts(entry, self._taken)
            self._taken += 1
            begins = bool(entry.tokens)
            if begins and self._ahead:
                self._look_ahead()
        elif not self._ended and ended:
            begins, self._ended = self._ahead > 0, True  # the last new_word, for which no word is left
        main = self._pending.popleft() if self._pending and (self._ahead or not begins) else None
        second = self._lookahead.popleft() if self._lookahead and not begins else None
        if not self._ahead:
            second = main
        return Labels(
            taken=entry,
            main=main if main is not None and main.token == emitted[0] else None,  # an edit can put another there
            second=second if second is not None and second.token == emitted[1] else None,
            pending=list(self._pending) if queues else [],
            lookahead=list(self._lookahead) if queues else [],
        )

    def _look_ahead(self) -> None:
        """Queue the word that comes `ahead` words after the one that was taken."""
        for index in range(self._scanned, len(self._entries)):
            if self._entries[index].tokens:
                self._words.append(index)
        self._scanned = len(self._entries)
        place = bisect_left(self._words, self._taken) + self._ahead - 1
        if place < len(self._words):
            index = self._words[place]
            self._lookahead += _parts(self._entries[index], index)


def labels(trace: Dia2Trace, calls: int, queues: Container[int] = ()) -> Iterator[Labels]:
    """Labels of the first `calls` calls, with the queues after those in `queues`."""
    played = Queues(trace.run.entries, trace.model.second_stream_ahead)
    consumed, ends = trace.column("consumed"), trace.column("end_step")
    for call in range(min(calls, len(trace))):
        emitted = int(trace.main[call]), int(trace.second[call])
        yield played.step(bool(consumed[call]), bool(ends[call] >= 0), emitted, queues=call in queues)


def _parts(entry: Entry, index: int) -> list[Part]:
    whole = len(entry.tokens)
    return [Part(token, entry.text, entry.speaker, i, whole, index) for i, token in enumerate(entry.tokens, 1)]


@dataclass(frozen=True)
class Verdict:
    """An action as it was drawn (or given), and what the machine made of it."""

    __repr__ = brief_repr

    drawn: Literal["new_word", "pad"]
    given: bool  # forced by the prefix
    overruled: str | None  # why the machine did otherwise
    outcome: Literal["new_word", "break", "end", "pad"]  # end: a word was asked for, and none was left


@dataclass(frozen=True)
class Before:
    """What of the machine's state before a call decides which action it lets through."""

    pending: bool  # tokens of a word are
    forced_padding: int
    padding_budget: int


def verdict(trace: Dia2Trace, call: int, taken: Entry | None) -> Verdict:
    """What became of the action of a call, at which the machine took the entry `taken`."""
    row, before = trace.machine_at(call), trace.machine_at(call - 1)
    state = Before(bool(before.pending), before.forced_padding, before.padding_budget)
    return judge(trace.model.tokens, row.action, row.forced, state, taken)


def judge(ids: TokenIds, action: int, forced: bool, before: Before, taken: Entry | None) -> Verdict:
    """What became of an action that was drawn, or `forced` by the prefix, at a call that took the entry `taken`."""
    drawn = ids.action_name(action, text=forced)
    allowed, why = _constrain(drawn, forced, before)
    outcome: Literal["new_word", "break", "end", "pad"] = "pad"
    if taken is not None:
        outcome = "new_word" if taken.tokens else "break"
    elif allowed == "new_word":
        outcome = "end"
    return Verdict(drawn, forced, why if allowed != drawn else None, outcome)


def _constrain(drawn: str, forced: bool, before: Before) -> tuple[str, str | None]:
    """What `StateMachine` leaves of an action, and why."""
    if before.pending:
        return "pad", "tokens of a word were pending"
    if forced:
        return drawn, None
    if before.forced_padding > 0:
        return "pad", "forced padding was running"
    return ("new_word", "the padding budget was used up") if before.padding_budget <= 0 else (drawn, None)
