"""Words of a prefix that stand beside their sound: by the checkpoint's own ear; where that is deaf, by their spelling.

Where the recording is not kept, loudness is what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.ear.shifts import FEWEST_WORDS, shifts_of
from dia2.adapter.prefix_sound import find_shift
from dia2.adapter.prefix_words import PrefixWord
from dia2.adapter.spelling.path import SpeltPath
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.levels import Levels

if TYPE_CHECKING:
    from dia2.adapter.ear.curves import EarCurves

MOST_DRIFT = 1.5  # seconds between words and sound that are looked for
FEWEST_HEARD = 5  # words that the ear can be trusted with; of fewer, loudness tells
DRIFT_FRAMES = 3  # from here on a shift is told; transcripts of clean recordings stand one or two aside

SHIFT = FindingKind(
    "prefix-shift",
    "bad",
    f"Moving three words or more by {DRIFT_FRAMES} frames to {MOST_DRIFT:g} s makes the recording much likelier to the "
    "checkpoint; or, where that cannot follow the voice, to what their letters let expect, a hiss where an s is; or, "
    "where the recording is not kept, fits the words to its loudness much better.",
    "Transcripts of clean recordings stand one or two frames aside. By ear 141 clean recordings brought nothing, and "
    "58 of 60 shifts were told; by letters 44 clean ones with Whisper's words brought nothing, and 205 of 220 shifts "
    "were told in a range that holds their beginning; by loudness 156.",
    "check the word times, or let Whisper transcribe again",
)


@dataclass(frozen=True)
class Shifted:
    """Words in a row that come late or early. Indices count among the words of one speaker."""

    seconds: float  # that they come late; negative: early
    first: int
    last: int
    earliest: int  # the first shifted word may be this one already
    latest: int  # and the last one this one still
    heard: bool = False  # by the ear, which can tell moved words from missing ones

    def applied(self, times: np.ndarray, rate: float) -> np.ndarray:
        """The words [W, 2], in frames, as they stand at their sound."""
        moved = times.copy()
        moved[self.first : self.last + 1] -= self.seconds * rate
        return moved


def by_ear(ear: EarCurves, speaker: int, words: Sequence[PrefixWord]) -> list[Shifted] | None:
    """What the checkpoint heard of one speaker's words; `None` where it cannot follow them, or they are too few."""
    if speaker in ear.deaf or len(words) < FEWEST_HEARD:
        return None
    before = words[0].index
    return [
        Shifted(
            one.seconds,
            one.first_word - before,
            one.last_word - before,
            one.begins_between[0] - before,
            one.ends_between[1] - before,
            heard=True,
        )
        for one in ear.shifts
        if one.speaker == speaker
    ]


def by_spelling(path: SpeltPath, rate: float) -> list[Shifted]:
    """What it says; words before a shift that are too few to be told may be in it."""
    shifts = []
    for one in shifts_of(path, 1, 0, rate):
        earliest = one.begins_between[0]
        earliest = 0 if earliest < FEWEST_WORDS else earliest
        shifts.append(Shifted(one.seconds, one.first_word, one.last_word, earliest, one.ends_between[1]))
    return shifts


def by_loudness(levels: Levels, times: np.ndarray, rate: float) -> list[Shifted]:
    """At most one, from the words' times [W, 2] in frames; where it begins is not known to a word or two."""
    found = find_shift(levels, times, DRIFT_FRAMES, int(MOST_DRIFT * rate))
    return [] if found is None else [Shifted(found.frames / rate, found.first, found.last, found.earliest, found.last)]


def shift_finding(words: Sequence[PrefixWord], shift: Shifted) -> Finding:
    """Its calls begin where the first shifted word may be taken at the earliest."""
    moved = words[shift.first : shift.last + 1]
    call, until = words[shift.earliest].place, moved[-1].place
    indices = [word.index for word in moved]
    return SHIFT.found(shift_text(words, shift), call, until, speaker=words[0].speaker, words=indices)


def shift_text(words: Sequence[PrefixWord], shift: Shifted) -> str:
    """Which words stand how far beside their sound, in a sentence."""
    side = "after" if shift.seconds > 0 else "before"
    whose = f"he words of speaker {words[0].speaker} seem to stand {abs(shift.seconds):.2f} s {side} their sound."
    return f"{_which(words, shift)}{whose}"


def _which(words: Sequence[PrefixWord], shift: Shifted) -> str:
    """The beginning of a sentence, up to the letter that words go on with."""
    first, last = words[shift.first], words[shift.last]
    late, early = shift.first > 1, shift.last < len(words) - 2  # a word at either end tells little
    if late and early:
        return f"Between “{first.text}” ({first.start:.2f} s) and “{last.text}” ({last.start:.2f} s) t"
    if late:
        return f"From “{first.text}” ({first.start:.2f} s) on t"
    return f"Up to “{last.text}” ({last.start:.2f} s) t" if early else "T"
