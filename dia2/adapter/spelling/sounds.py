"""What a recording sounds like, moment by moment: how loud, and whether it hums, rings or hisses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

CLASSES = 10  # 0: a pause; then soft, middle and loud sound, each low, ringing or hissing

_BANDS = (100.0, 1000.0, 3500.0, 8000.0)  # Hz: voices hum in the first, vowels ring in the second, an s is in the third
_LEVELS = (-24.0, -12.0, -5.0)  # dB of the speech: below, a pause; soft; middle; loud
_RINGS, _HISSES = 0.18, 0.4  # share of the second band, and of the third, from which on sound rings or hisses
_LOUD = 30.0  # dB below the loudest moment; what is farther below is no speech
_QUIETEST = 8  # percent of the moments, which tell the noise
_NOISE = 1.5  # times the noise's power that is taken off


def classes_of(samples: np.ndarray, rate: int, every: float, count: int) -> np.ndarray:
    """The class of each moment.

    Args:
        samples: [N] in −1 … 1.
        rate: Hz, 2,000 at least.
        every: seconds from one moment to the next; each is looked at with half of its neighbours.
        count: how many moments; what lies behind the samples is silent.

    Returns:
        [count] of 0 … `CLASSES` - 1.
    """
    hop = max(1, round(every * rate))
    width = 2 * hop
    padded = np.zeros((count + 1) * hop)
    padded[hop // 2 : hop // 2 + len(samples)] = np.nan_to_num(samples[: len(padded) - hop // 2])
    moments = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][:count]
    size = 1 << (width - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(moments * np.hanning(width), size)))
    at = np.searchsorted(np.fft.rfftfreq(size, 1 / rate), _BANDS)
    bands = np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(at)], axis=1)  # [count, 3]
    whole = bands.sum(axis=1)
    noise = bands[whole <= np.percentile(whole, _QUIETEST)].mean(axis=0)
    bands = np.maximum(bands - _NOISE * noise, 1e-12)
    whole = bands.sum(axis=1)
    level = 10 * np.log10(whole)
    speech = np.percentile(level[level > level.max() - _LOUD], 80)
    loudness = np.digitize(level - speech, _LEVELS)
    _, rings, hisses = bands.T / whole
    colour = np.where(hisses > _HISSES, 2, np.where(rings > _RINGS, 1, 0))
    classes: np.ndarray = np.where(loudness == 0, 0, 1 + 3 * (loudness - 1) + colour)
    return classes
