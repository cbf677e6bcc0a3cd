"""The text state machine: which word enters the streams when.

The model only proposes an action a frame (new word, or pad); the machine decides what becomes of it and
emits the frame's two text tokens. It runs on the host, once per call of the transformer. Its ancestor is the
state machine of Kyutai's delayed-streams TTS.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from dia2.common.hooks import phase

Action = Literal["new_word", "pad"]

MAX_PADDING = 6  # frames after which a word must follow, unless a forced padding still runs


@dataclass(frozen=True)
class TokenIds:
    """Token ids that the runtime knows by name."""

    new_word: int  # text: a word begins
    pad: int  # text: nothing
    bos: int  # main text of the conditional branch at step 0
    zero: int  # main text of the unconditional branch, in every frame
    spk1: int  # [S1]
    spk2: int  # [S2]
    action_new_word: int  # as the action head numbers it
    action_pad: int
    audio_pad: int
    audio_bos: int
    ungenerated: int = -2  # a grid cell that nothing was written to

    def action_name(self, number: int, *, text: bool) -> Action:
        """The name of an action as a call has it.

        Args:
            number: of the action head; of the warm-up a `text` token.
            text: it is one of the warm-up.
        """
        new_word = {self.new_word} if text else {self.action_new_word, self.new_word}
        return "new_word" if number in new_word else "pad"


@dataclass(frozen=True)
class Entry:
    """One word, or a break, that waits for its turn."""

    tokens: list[int]  # empty: a break
    text: str  # the word as timestamps show it; "" for a break
    padding: int  # frames after its first token in which no other word may begin
    speaker: int = 0  # 1 or 2: who says the word; 0 for a break


@dataclass
class State:
    """What the machine knows between steps."""

    entries: deque[Entry]  # words and breaks not begun yet
    padding_budget: int  # frames until a new word is forced; ticks down in every frame that is no new word
    forced_padding: int  # frames in which a new word is not allowed; ticks down likewise
    pending_tokens: deque[int] = field(default_factory=deque)  # of the current word, for the main stream
    lookahead_tokens: deque[int] = field(default_factory=deque)  # of a coming word, for the second stream
    end_step: int | None = None  # the first step that asked for a word when none was left
    consumption_times: list[int] = field(default_factory=list)  # step at which each entry was taken, breaks too
    transcript: list[tuple[str, int]] = field(default_factory=list)  # (word, step at which it began)


class Emission(NamedTuple):
    """The two text tokens of a step."""

    main: int
    second: int
    consumed: bool  # an entry was taken, breaks included


class StateMachine:
    """Turns one action a frame into the two text tokens of the next."""

    @phase("machine.init")
    def __init__(self, ids: TokenIds, *, second_stream_ahead: int, initial_padding: int = 0) -> None:
        self.ids = ids
        self.second_stream_ahead = second_stream_ahead
        self.max_padding = MAX_PADDING
        self.initial_padding = initial_padding  # frames before the first word; set by each generation

    @phase("machine.new_state")
    def new_state(self, entries: list[Entry]) -> State:
        """The state before step 0."""
        return State(deque(entries), padding_budget=self.initial_padding, forced_padding=self.initial_padding)

    def step(self, step: int, state: State, action: int, *, forced: bool = False) -> Emission:
        """Advance `state` by one frame.

        Args:
            step: the frame's index, noted in the transcript.
            state: changed in place.
            action: the action head's id, or the text id of new_word or pad; anything else counts as pad.
            forced: `action` is a text id to be taken as it is (warm-up), unless tokens of a word are pending.
        """
        ids = self.ids
        token = self._constrain(state, action if forced else self._as_text(action), forced)
        consumed = False
        if token == ids.new_word:
            token, consumed = self._take_entry(step, state)

        if token == ids.new_word:
            output = token
        else:
            state.padding_budget = max(0, state.padding_budget - 1)
            state.forced_padding = max(0, state.forced_padding - 1)
            output = state.pending_tokens.popleft() if state.pending_tokens else ids.pad

        if not self.second_stream_ahead:
            return Emission(output, output, consumed)
        if output == ids.new_word:
            main = state.pending_tokens.popleft() if state.pending_tokens else ids.pad
            return Emission(main, ids.new_word, consumed)
        second = state.lookahead_tokens.popleft() if state.lookahead_tokens else ids.pad
        return Emission(output, second, consumed)

    def _as_text(self, action: int) -> int:
        """The text id that an action stands for."""
        ids = self.ids
        if action == ids.action_new_word:
            return ids.new_word
        if action == ids.action_pad:
            return ids.pad
        return action if action in (ids.new_word, ids.pad) else ids.pad

    def _constrain(self, state: State, token: int, forced: bool) -> int:
        """Overrule the action where the state leaves no choice."""
        if state.pending_tokens:
            return self.ids.pad
        if forced:
            return token
        if state.forced_padding > 0:
            return self.ids.pad
        return self.ids.new_word if state.padding_budget <= 0 else token

    def _take_entry(self, step: int, state: State) -> tuple[int, bool]:
        """Carry out a new_word; returns what is left of it (new_word or pad) and whether an entry was taken."""
        ids = self.ids
        if not state.entries:
            first_time = state.end_step is None
            if first_time:
                state.end_step = step
            # With lookahead the model was trained to see one last new_word, in the second stream.
            return (ids.new_word if first_time and self.second_stream_ahead else ids.pad), False
        entry = state.entries.popleft()
        state.consumption_times.append(step)
        state.forced_padding = entry.padding
        if not entry.tokens:
            return ids.pad, True  # a break: its own frame counts towards its padding
        state.transcript.append((entry.text, step))
        state.pending_tokens.extend(entry.tokens)
        state.padding_budget = self.max_padding
        if self.second_stream_ahead:
            state.lookahead_tokens.extend(self._ahead(state))
        return ids.new_word, True

    def _ahead(self, state: State) -> list[int]:
        """Tokens of the `second_stream_ahead`-th coming word, breaks not counted; `None` if there are fewer."""
        left = self.second_stream_ahead
        for entry in state.entries:
            if entry.tokens:
                left -= 1
                if left == 0:
                    return entry.tokens
        return []

    def words_queued(self, state: State) -> int:
        """Words that wait, breaks not counted."""
        return sum(1 for entry in state.entries if entry.tokens)
