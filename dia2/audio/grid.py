"""The delay grid: codebook k of frame t stands in column t + delay[k]. And writing sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dia2.audio.wav import save_wav
from dia2.common.hooks import phase


def delay_frames(aligned: Tensor, delays: Sequence[int], pad: int) -> Tensor:
    """Shift codebook k of `aligned` [K, T] right by `delays[k]`; `pad` fills the rest of [K, T + max(delays)]."""
    codebooks, frames = aligned.shape
    grid = aligned.new_full((codebooks, frames + max(delays)), pad)
    for k, delay in enumerate(delays):
        grid[k, delay : delay + frames] = aligned[k]
    return grid


@phase("grid.undelay")
def undelay_frames(grid: Tensor, delays: Sequence[int]) -> Tensor:
    """Exact inverse of `delay_frames`: [K, columns] → [K, columns − max(delays)], empty if there are too few."""
    frames = max(0, grid.shape[1] - max(delays))
    return torch.stack([grid[k, delay : delay + frames] for k, delay in enumerate(delays)])


@phase("wav.write")
def write_wav(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write `waveform` [N] in −1 … 1 as 16-bit WAV, whole or not at all.

    Raises:
        Dia2Error: the file cannot be written; one that was there before is left as it was.
    """
    save_wav(path, waveform, sample_rate)
