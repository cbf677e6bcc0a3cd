"""Where sound begins in a recording: noise and hum that were there before are not sound."""

from __future__ import annotations

import torch
from torch import Tensor

_HOP, _WINDOW = 0.01, 0.04  # seconds
_CLICK = 9  # hops, of which a click with its window is less than half
_LOWEST = 225.0  # Hz; below it is the hum of the mains, and nothing that a voice lacks above
_VOICE = 15.0  # dB below the loudest moment: surely the voice
_ABOVE_NOISE = 6.0  # dB by which what belongs to the voice stands above the noise before it
_FAINTEST = 50.0  # dB below the loudest moment, and silence from there on
_CONTRAST = 8.0  # dB between noise and voice, below which nothing is said
_WEAK = 0.3  # seconds that a weak beginning, such as an f, may go ahead of the voice
_CLOSURE = 0.15  # seconds of silence within a word, as before a k


def sound_begins(levels: Tensor, start: float, end: float, since: float) -> float | None:
    """The second at which the sound of a word begins, between `start` and `end`; `None` where that cannot be told.

    The noise is as loud as the median of what comes before. From the first moment that is surely voice we go back, as
    long as there is more than noise.

    Args:
        levels: [frames] float32, of `levels_of`.
        start: seconds at which the word is said to begin.
        end: seconds at which it ends.
        since: seconds from which on there was no voice, if the word begins later than it is said to.
    """
    first, last = round(start / _HOP), min(round(end / _HOP), len(levels))
    if last <= first:
        return None
    loudest = float(levels[first:last].max())
    begun = first + int((levels[first:last] >= loudest - _VOICE).int().argmax())
    before = levels[round(since / _HOP) : max(0, begun - round(_WEAK / _HOP))]
    if not len(before):
        return None
    noise = max(float(before.median()), loudest - _FAINTEST - _ABOVE_NOISE)
    if loudest - noise < _CONTRAST:
        return None
    sounding = levels >= min(noise + _ABOVE_NOISE, loudest - _VOICE)
    at = begun
    while at > first:
        earlier = sounding[max(first, at - round(_CLOSURE / _HOP)) : at].nonzero()
        if not len(earlier):
            break
        at = max(first, at - round(_CLOSURE / _HOP)) + int(earlier[0])
    return at * _HOP


def falls_silent(levels: Tensor, start: float, end: float) -> float:
    """The first second between `start` and `end` at which there is surely no voice, or `end`."""
    first, last = round(start / _HOP), min(round(end / _HOP), len(levels))
    if last <= first:
        return end
    below = (levels[first:last] < levels[first:last].max() - _VOICE).nonzero()
    return start + int(below[0]) * _HOP if len(below) else end


def levels_of(samples: Tensor, rate: int) -> Tensor:
    """Loudness in dB, every 0.01 s, of what is about that moment, without clicks; [frames] float32.

    Args:
        samples: [N] float32.
        rate: in Hz.
    """
    window, hop = round(_WINDOW * rate), round(_HOP * rate)
    padded = torch.nn.functional.pad(samples.cpu().float(), (window // 2, window))
    blocks = padded.unfold(0, window, hop)  # [frames, window]
    power = torch.fft.rfft(blocks * torch.hann_window(window, dtype=torch.float32, device="cpu")).abs().square()
    levels = 10 * torch.log10(power[:, round(_LOWEST * _WINDOW) :].sum(dim=1) / window**2 + 1e-12)
    ends = levels[:1].expand(_CLICK // 2), levels[-1:].expand(_CLICK // 2)
    return torch.cat((ends[0], levels, ends[1])).unfold(0, _CLICK, 1).median(dim=1).values
