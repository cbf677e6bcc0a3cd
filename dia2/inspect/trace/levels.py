"""How loud sound is, frame by frame: where it sounds, where it pauses, and pauses that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dia2.inspect.schema.finding import FindingKind
from dia2.inspect.trace.stretches import stretches

SILENT_SECONDS = 1.0  # beyond what a break asks for

_LOUD = 30.0  # dB below the loudest frame; what is farther below is no speech
_DEEP = 26.0  # dB below the speech; a frame from here on down is a pause, if the floor is deep enough
_SHARE = 0.4  # of the way from floor to speech; in a noisy recording a frame from here on down is a pause
_HUSH = 0.2  # of that way; from here on down it is one beyond doubt
_MUTE = 45.0  # dB below the speech; likewise, however deep the floor is: the softest consonants are louder
_AT_LEAST = 1.0  # dB below the speech that still sound: a level without ups and downs has no pause
_LOWEST = -100.0  # dB that stand for digital silence
_TAIL = 2  # last frames of the audio, which are a pause where it ended by itself
_FULL = 1 - 2.0**-15  # the highest level of 16 bits

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
class Levels:
    """How loud a recording is, in dB of full scale."""

    decibels: np.ndarray  # [frames]
    speech: float
    floor: float  # of its quietest moments
    sounding: np.ndarray  # [frames] bool: no pause
    hushed: np.ndarray  # [frames] bool: a pause beyond doubt


def rms_of(samples: np.ndarray, rate: int, frames: float) -> np.ndarray:
    """[n] RMS of every whole frame of samples [N] at `rate` Hz, `frames` a second."""
    step = max(1, round(rate / frames))
    count = len(samples) // step
    found: np.ndarray = np.sqrt(np.square(samples[: count * step].reshape(count, step)).mean(axis=1))
    return found


def measure(rms: np.ndarray) -> Levels:
    """Levels of a recording that is not all zeros, from the RMS [frames] of its frames."""
    level = np.maximum(20 * np.log10(np.maximum(rms, 1e-30)), _LOWEST)
    speech = float(np.percentile(level[level >= level.max() - _LOUD], 80))
    floor = float(np.percentile(level, 5))
    pause = min(max(speech - _DEEP, floor + _SHARE * (speech - floor)), speech - _AT_LEAST)
    hush = min(pause, max(floor + _HUSH * (speech - floor), speech - _MUTE))
    return Levels(level, speech, floor, level >= pause, level < hush)


def pauses(levels: Levels, rate: float, *, last: bool = False, least: float = SILENT_SECONDS) -> list[tuple[int, int]]:
    """First frame of each pause of `least` seconds, and the one after its last; that at the end only with `last`."""
    hushed = ~levels.sounding
    every = [one for one in stretches(hushed) if last or one[1] < len(hushed)]
    return [(first, end) for first, end in every if (end - first) / rate >= least]


def ends_sounding(levels: Levels) -> bool:
    """The recording ends in a sound, not in a pause."""
    return bool(levels.sounding[-_TAIL:].all())


def full_scale(samples: np.ndarray) -> np.ndarray:
    """Which of samples [N] in −1 … 1 stand at full scale."""
    found: np.ndarray = np.abs(samples) >= _FULL
    return found
