"""How loud a recording is, frame by frame: enough to find silence, clipping and drift without keeping the voice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Loudness(NamedTuple):
    """Of each codec frame; NaN where it is not known."""

    rms: Tensor  # [frames] float32
    peak: Tensor  # [frames] float32
    clipped: Tensor  # [frames] float32, hundredths of a second in which the recording stands at a flat top


def loudness(samples: Tensor, samples_per_frame: float, frames: int, clipped: Tensor | None = None) -> Loudness:
    """Measure a recording.

    Args:
        samples: [N] float32 in −1 … 1.
        samples_per_frame: of the codec.
        frames: how many there are; the last ones may reach past the samples, into silence.
        clipped: [n] samples at which it is clipped, one for each hundredth of a second; `None`: not known.
    """
    step = round(samples_per_frame)
    padded = torch.nn.functional.pad(samples.cpu().float(), (0, max(0, frames * step - len(samples))))
    blocks = padded[: frames * step].view(frames, step)
    rms, peak = blocks.square().mean(dim=1).sqrt(), blocks.abs().amax(dim=1)
    if clipped is None:
        return Loudness(rms, peak, torch.full_like(rms, torch.nan))
    at = (clipped.double() / step + 1e-6).long()  # they may be rounded to float32
    return Loudness(rms, peak, torch.bincount(at[at < frames], minlength=frames).float())


def unknown(frames: int) -> Loudness:
    """Of a voice without a waveform."""
    return Loudness(*(torch.full((frames,), torch.nan, dtype=torch.float32) for _ in Loudness._fields))
