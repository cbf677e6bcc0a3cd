"""The letters of a recording's words, for a trace and for a voice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.prefix_words import PrefixWord, prefix_words
from dia2.adapter.spelling.path import SpeltPath, spelt_path

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def spelt(samples: np.ndarray, hertz: int, frames: int, words: Sequence[PrefixWord], rate: float) -> SpeltPath | None:
    """What the letters of a recording's words let expect, beside what sounds; `None` where they tell nothing.

    Args:
        samples: [N] in −1 … 1.
        hertz: samples a second.
        frames: how many the recording has.
        words: that it is said to have, with their times.
        rate: frames a second.
    """
    times = np.array([[word.start, word.end] for word in words], float).reshape(-1, 2)
    return spelt_path(samples, hertz, rate, frames, [word.text for word in words], times)


def letters_of(trace: Dia2Trace) -> dict[int, SpeltPath]:
    """By speaker, of each recording that a trace keeps; none where they tell nothing, or the words were redacted.

    Raises:
        TraceError: a recording is damaged.
    """
    if "text" in trace.redacted:
        return {}
    words = [word for word in prefix_words(trace) if word.start is not None]
    found = {}
    for kept in trace.recordings:
        mine = [word for word in words if word.speaker == kept.speaker]
        path = spelt(kept.samples, kept.rate, kept.calls, mine, trace.model.frame_rate)
        if path is not None:
            found[kept.speaker] = path
    return found
