"""What a run does not choose itself: declared edits, and the recorded past of a fork."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.config import DiaConfig
from dia2.generation import GenerationConfig
from dia2.runtime.after import Before
from dia2.runtime.edits import ChoiceEdit, Edit, ForceAction, ReplaceToken, config_at, guided
from dia2.runtime.observed import MachineRow
from dia2.runtime.state_machine import Emission, Entry, State, TokenIds
from dia2.runtime.written import Moment, Written


@dataclass(frozen=True)
class Past:
    """What calls of the main loop chose in an earlier run."""

    first_call: int  # the first of them: as many calls as the prefix has frames
    actions: list[int]  # as the action head numbers them
    codes: Tensor  # [calls, K] int64


class Interventions:
    """Answers the main loop, call by call."""

    def __init__(
        self,
        config: DiaConfig,
        ids: TokenIds,
        base: GenerationConfig,
        *,
        edits: Sequence[ChoiceEdit] = (),
        past: Past | None = None,
        first_call: int,
        written: Written | None = None,
        entries: Sequence[Entry] = (),
    ) -> None:
        """Check the edits against the checkpoint and the run.

        Args:
            config: of the checkpoint.
            ids: its tokens.
            base: the run's config before any edit.
            edits: of what calls choose.
            past: an earlier run's choices, to be made again up to where it ends.
            first_call: of the main loop.
            written: activations that are changed.
            entries: all that the machine goes through; more may be added.

        Raises:
            UsageError: an edit names a call of the warm-up, or a token, codebook or stream that is not there.
        """
        data = config.data
        for edit in edits:
            if edit.call < first_call:
                raise UsageError(
                    f"Call {edit.call} is in the warm-up, which the prefix decides; the main loop begins at call "
                    f"{first_call}: edit a call from there on."
                )
            if isinstance(edit, ReplaceToken):
                codes = min(data.audio_pad_token_id, data.audio_bos_token_id)
                known = codes if edit.stream is None else data.text_vocab_size
                if edit.token >= known or (edit.codebook or 0) >= data.num_codebooks:
                    raise UsageError(
                        f"The edit “{edit}” does not fit: the checkpoint has {data.num_codebooks} codebooks of {codes} "
                        f"codes and {data.text_vocab_size} text tokens."
                    )
        self.edits = list(edits)
        self.forked_at = None if past is None else first_call + len(past.actions)  # the first call that is free again
        self.guided = guided(base, edits)
        self.written, self._entries = written, entries
        self._base, self._past = base, past
        self._actions = {edit.call: edit.action for edit in edits if isinstance(edit, ForceAction)}
        self._tokens = [edit for edit in edits if isinstance(edit, ReplaceToken)]
        self._action_ids = {"new_word": ids.action_new_word, "pad": ids.action_pad}
        self._codebooks = data.num_codebooks
        self._ids = ids
        self._before: Before | None = None  # of the call that was made last

    @property
    def declared(self) -> list[Edit]:
        """All edits of the run."""
        return [*self.edits, *(self.written.edits if self.written is not None else ())]

    def write(self, call: int, state: State) -> None:
        """Fill what is written in `call`, before its first half.

        Args:
            call: of the main loop.
            state: the machine's, after the call before.
        """
        if self.written is not None:
            self.written.at(self.moment(call, state))

    def moment(self, call: int, state: State) -> Moment:
        """Where in the script a call is, given the machine's state after the call before."""
        word = len(state.transcript) - 1
        if word < 0:
            return Moment(call, before=self._before)
        taken = (entry for entry in self._entries if entry.tokens)
        return Moment(call, word, next(islice(taken, word, None)).speaker, self._before)

    def made(self, row: MachineRow) -> None:
        """Take note of what is recorded of a call, before the next one."""
        self._before = Before.of(row, self._ids)

    def config(self, call: int) -> GenerationConfig:
        """What is in force at `call`."""
        return config_at(self._base, self.edits, call)

    def codes(self, call: int) -> Tensor:
        """[K] int64: the code that each codebook must take, −1 where it draws."""
        past = self._chosen(call)
        codes = torch.full((self._codebooks,), -1) if past is None else past[1].clone()
        for edit in self._tokens:
            if edit.call == call and edit.codebook is not None:
                codes[edit.codebook] = edit.token
        return codes

    def action(self, call: int, drawn: int) -> int:
        """The action to take where `drawn` came out of the draw."""
        if call in self._actions:
            return self._action_ids[self._actions[call]]
        past = self._chosen(call)
        return drawn if past is None else past[0]

    def text(self, call: int, emitted: Emission) -> Emission:
        """What goes into the streams where the machine gave `emitted`."""
        for edit in self._tokens:
            if edit.call == call and edit.stream is not None:
                main = edit.token if edit.stream == "main" else emitted.main
                second = edit.token if edit.stream == "second" else emitted.second
                emitted = Emission(main, second, emitted.consumed)
        return emitted

    def _chosen(self, call: int) -> tuple[int, Tensor] | None:
        """Action and codes [K] of `call` in the earlier run; none where that did not come so far."""
        if self._past is None or not 0 <= (at := call - self._past.first_call) < len(self._past.actions):
            return None
        return self._past.actions[at], self._past.codes[at]
