"""The sound that a run made, frame by frame, beside the words that the machine took: evidence about pace and pauses.

A frame of sound is told by the call that takes words there, as everywhere: step = frame + cut + lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.prefix_sound import Levels, measure
from dia2.inspect.schema.finding import FindingKind
from dia2.runtime.sounding import LAG

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

SILENT_SECONDS = 1.0  # beyond what a break asks for

_SENTENCE_ENDS = ".,?!;:…。，、？！；：)”\"'»"

SILENCE = FindingKind(
    "silence-long",
    "bad",
    f"Nothing sounds for {SILENT_SECONDS:g} s more than the breaks there ask for: between words, or at the end of a "
    "recording.",
    "In 48 clean runs the longest pause was 0.24 s more than its break; sentences of people are half a second apart. "
    "A recording's end is taken for a pause to go on with.",
    'take another seed, or a lower temperature; a pause that is meant is written <break time="1s"/>',
)


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
    samples, sample_rate = heard
    step = max(1, round(sample_rate / trace.model.frame_rate))
    count = len(samples) // step
    rms = np.sqrt(np.square(samples[: count * step].reshape(count, step)).mean(axis=1))
    if not rms.any():
        return None
    rate, first = trace.model.frame_rate, int(trace.steps[warmup])
    return MadeSound(measure(rms), rate, trace.crop, first, warmup, len(trace))
