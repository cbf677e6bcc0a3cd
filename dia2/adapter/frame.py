"""One call of a trace of Dia2."""

from __future__ import annotations

from dataclasses import dataclass

from dia2.common.brief import brief_repr
from dia2.common.hooks import MachineRow
from dia2.inspect.schema.draw import Draw


@dataclass(frozen=True)
class FrameSeconds:
    """Wall times of one call of the main loop."""

    first: float  # until the action was known
    machine: float
    second: float
    frame: float


@dataclass(frozen=True)
class Frame:
    """One call of the transformer, and what became of it."""

    __repr__ = brief_repr

    call: int
    phase: str  # warmup or main
    step: int
    position: int  # rotary
    slot: int  # of the key/value cache
    text: tuple[int, int]  # main and second text token as the transformer saw them
    audio: list[int]  # [K] codes as the transformer saw them
    codes: list[int] | None  # [K] drawn by this call; `None` in warm-up
    before: MachineRow
    machine: MachineRow  # after
    kv_transformer: int  # filled slots after the call
    kv_depformer: int  # likewise; 0 in warm-up
    seconds: FrameSeconds | None  # `None` in warm-up, which is one pass
    draws: list[Draw]  # empty where the trace kept none
