"""One call of a trace of Dia2, and all of them in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from dia2.common.brief import brief_repr
from dia2.common.checks import counted_from_0
from dia2.common.wording import counted
from dia2.inspect.schema.draw import Draw
from dia2.runtime.observed import MachineRow

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


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


class Frames(Sequence[Frame]):
    """The frames of a trace, made when they are asked for."""

    def __init__(self, trace: Dia2Trace) -> None:
        self._trace = trace

    def __repr__(self) -> str:
        return f"<Frames of {self._trace.path}: {counted(len(self), 'call')}>"

    def __len__(self) -> int:
        return len(self._trace)

    def __iter__(self) -> Iterator[Frame]:
        return (self._trace.frame(call) for call in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._trace.frame(call) for call in range(len(self))[index]]
        call = counted_from_0(index, "call")
        if not -len(self) <= call < len(self):
            raise IndexError(f"call {call} of {len(self)}")
        return self._trace.frame(call % len(self))
