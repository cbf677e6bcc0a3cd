"""The sound that a run made, frame by frame, beside the words that the machine took: evidence about pace and pauses.

A frame of sound is told by the call that takes words there, as everywhere: step = frame + cut + lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dia2.inspect.trace.levels import Levels, measure, rms_of
from dia2.runtime.sounding import LAG

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

_SENTENCE_ENDS = ".,?!;:…。，、？！；：)”\"'»"


@dataclass(frozen=True)
class MadeWord:
    """A word, or a break, that the main loop took."""

    text: str  # "": a break
    speaker: int
    call: int
    until: int  # the call before the next word or break is taken
    padding: int  # frames that a break asks for
    letters: int
    final: bool  # punctuation follows it, and so a pause may

    @property
    def frames(self) -> int:
        """From it to the next."""
        return self.until + 1 - self.call


@dataclass(frozen=True)
class MadeSound:
    """How loud the audio is."""

    levels: Levels
    rate: float
    crop: int
    first_step: int  # of the main loop
    first_call: int
    calls: int

    def call_at(self, frame: int) -> int:
        """The call that takes words where a frame of the audio sounds; the nearest there is."""
        step = frame + self.crop + LAG
        call = step if step < self.first_step else self.first_call + step - self.first_step
        return min(max(0, call), self.calls - 1)

    def frame_at(self, call: int) -> int:
        """The frame of the audio that sounds where a call of the main loop takes words; may be negative."""
        return self.first_step + call - self.first_call - LAG - self.crop


def made_words(trace: Dia2Trace) -> list[MadeWord]:
    """What the main loop took, in order; of the prefix's words none."""
    run, warmup = trace.run, trace.warmup_calls
    taken = np.flatnonzero(trace.column("consumed")).tolist()
    ends = [*(call - 1 for call in taken[1:]), len(trace) - 1]
    return [
        MadeWord(
            entry.text if entry.tokens else "",
            entry.speaker,
            call,
            until,
            entry.padding if not entry.tokens else 0,
            sum(char.isalnum() for char in entry.text),
            entry.text[-1:] in _SENTENCE_ENDS,
        )
        for i, (entry, call, until) in enumerate(zip(run.entries, taken, ends, strict=False))
        if call >= warmup and i >= run.prefix_words
    ]


def made_sound(trace: Dia2Trace) -> MadeSound | None:
    """`None` where there is none, or nothing but zeros."""
    heard, warmup = trace.audio, trace.warmup_calls
    if heard is None or warmup >= len(trace):
        return None
    rms = rms_of(*heard, trace.model.frame_rate)
    if not rms.any():
        return None
    rate, first = trace.model.frame_rate, int(trace.steps[warmup])
    return MadeSound(measure(rms), rate, trace.crop, first, warmup, len(trace))
