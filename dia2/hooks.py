"""Hook points: the places at which a run can be observed.

The runtime calls an observer, where one is given, with the name of a point and its value; nobody observing
means no call. Values are the observer's own copies. What is recorded, drawn or stored is not the runtime's
business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class HookPoint:
    """One place that can be observed."""

    name: str
    when: str
    value: str  # type, shape and meaning


POINTS = {
    point.name: point
    for point in (
        HookPoint("entries", "once, before the first call", "list[Entry]: words and breaks, prefix first"),
        HookPoint("call", "before every call", "CallInfo: which call this is"),
        HookPoint("step_tokens", "every call", "[B, 2 + K] int64: the frame as the transformer sees it"),
        HookPoint("logits.action", "every call of the main loop", "[B, actions] float32"),
        HookPoint("logits.cb0", "every call of the main loop", "[B, audio vocabulary] float32"),
        HookPoint("machine.after", "every call", "MachineRow: the state machine after the step"),
        HookPoint("audio_buf", "once, after the last call", "[B, K, columns] int64: the delayed grid, cut"),
    )
}


class Observer(Protocol):
    """Anything that can be called with a point and its value."""

    def __call__(self, point: str, value: object, /) -> None:
        """Take one value; an exception ends the run."""


@dataclass(frozen=True)
class CallInfo:
    """Which call of the transformer: everything that names a moment names the call."""

    call: int  # from 0, over warm-up and main loop
    phase: Literal["warmup", "main"]
    step: int  # frame index; the last step of a prefix is called twice
    position: int  # rotary position
    slot: int  # of the key/value cache


@dataclass(frozen=True)
class MachineRow:
    """The state machine after one step."""

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
