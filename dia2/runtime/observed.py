"""What an observer is handed of a run of Dia2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dia2.common.brief import brief_repr
from dia2.common.hooks import CallInfo

if TYPE_CHECKING:  # which bring torch: who looks at a trace needs none
    from torch import Tensor

    from dia2.generation import GenerationConfig


@dataclass(frozen=True)
class MachineRow:
    """The state machine after one step."""

    __repr__ = brief_repr

    step: int
    action: int  # as drawn, before the machine's constraints; a text id in warm-up
    forced: bool  # warm-up: the action was given
    main: int  # text token emitted to the main stream
    second: int  # text token emitted to the second stream
    consumed: bool  # an entry was taken, breaks included
    padding_budget: int
    forced_padding: int
    entries_left: int
    pending: list[int]
    lookahead: list[int]
    end_step: int | None


@dataclass(frozen=True)
class FrameTimes:
    """Wall times of one frame of the main loop, in seconds."""

    began: float  # on the clock of time.perf_counter
    first: float
    machine: float
    second: float
    frame: float


@dataclass(frozen=True)
class Frames:
    """Some finished calls in a row, all of one phase of the run and with one config."""

    __repr__ = brief_repr

    config: GenerationConfig  # in force: edits can change guidance and sampling
    calls: list[CallInfo]  # n of them
    machine: list[MachineRow]  # after each call
    times: list[FrameTimes]  # empty in warm-up, which is one pass
    step_tokens: Tensor  # [n, B, 2 + K] int64
    codes: Tensor | None  # [n, K] int64, drawn by each call; `None` in warm-up
    logits: dict[str, Tensor]  # of those asked for: action [n, B, V], cb0 [n, B, V], dep [n, K-1, B, codes] float32
