"""How loud a recording is, frame by frame: enough to find silence, clipping and drift without keeping the voice."""

from __future__ import annotations

import torch
from torch import Tensor


def loudness(samples: Tensor, samples_per_frame: float, frames: int) -> tuple[Tensor, Tensor]:
    """RMS and peak of each codec frame.

    Args:
        samples: [N] float32 in −1 … 1.
        samples_per_frame: of the codec.
        frames: how many there are; the last ones may reach past the samples, into silence.

    Returns:
        [frames] float32 each.
    """
    step = round(samples_per_frame)
    padded = torch.nn.functional.pad(samples.cpu().float(), (0, max(0, frames * step - len(samples))))
    blocks = padded[: frames * step].view(frames, step)
    return blocks.square().mean(dim=1).sqrt(), blocks.abs().amax(dim=1)
