"""Words of a prefix that stand beside their sound."""

from __future__ import annotations

from collections.abc import Sequence

from dia2.adapter.prefix_words import PrefixWord
from dia2.inspect.schema.finding import FindingKind

MOST_DRIFT = 1.5  # seconds between words and sound that are looked for
DRIFT_FRAMES = 3  # from here on a shift is told; transcripts of clean recordings stand one or two aside

SHIFT = FindingKind(
    "prefix-shift",
    "bad",
    f"Words fit the loudness of their recording much better when three of them or more are moved by {DRIFT_FRAMES} "
    f"frames to {MOST_DRIFT:g} s.",
    "Transcripts of clean recordings stand one or two frames aside.",
    "check the word times, or let Whisper transcribe again",
)


def shift_text(words: Sequence[PrefixWord], first: int, last: int, seconds: float) -> str:
    """Which words stand how far beside their sound, in a sentence.

    Args:
        words: of one speaker.
        first: index of the first that is shifted.
        last: index of the last.
        seconds: that they come late; negative: early.
    """
    side = "after" if seconds > 0 else "before"
    whose = f"he words of speaker {words[0].speaker} seem to stand {abs(seconds):.2f} s {side} their sound."
    return f"{_which(words, first, last)}{whose}"


def _which(words: Sequence[PrefixWord], start: int, end: int) -> str:
    """The beginning of a sentence, up to the letter that words go on with."""
    first, last = words[start], words[end]
    late, early = start > 1, end < len(words) - 2  # a word at either end tells little
    if late and early:
        return f"Between “{first.text}” ({first.start:.2f} s) and “{last.text}” ({last.start:.2f} s) t"
    if late:
        return f"From “{first.text}” ({first.start:.2f} s) on t"
    return f"Up to “{last.text}” ({last.start:.2f} s) t" if early else "T"
