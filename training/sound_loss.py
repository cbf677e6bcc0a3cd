"""How far one sound is from another, in spectra of several resolutions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from training.vocoder import SAMPLE_RATE

_SCALES = ((256, 16), (512, 40), (1024, 64), (2048, 80))  # transform sizes and mel bands
_MEL, _MAGNITUDE = 2.0, 3.0  # weights


class Distance(NamedTuple):
    """How far one sound is from another."""

    heard: Tensor  # mel and magnitude spectra: whatever the phase
    phase: Tensor  # complex spectra: 0 only for the same waveform


class SpectralLoss(nn.Module):
    """Spectra at several resolutions, compared in absolute difference."""

    def __init__(self) -> None:
        super().__init__()
        for size, bands in _SCALES:
            self.register_buffer(f"mel{size}", mel_filters(size, bands), persistent=False)
            self.register_buffer(f"window{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> Distance:
        """Distance of samples [B, N]."""
        both = torch.cat([made, wanted])
        heard = phase = made.new_zeros(())
        for size, _ in _SCALES:
            window, mel = getattr(self, f"window{size}"), getattr(self, f"mel{size}")
            spectrum = torch.stft(both, size, size // 4, window=window, return_complex=True) / math.sqrt(size)
            first, second = spectrum.chunk(2)
            phase = phase + _magnitude(first - second).mean()
            magnitude = _magnitude(spectrum)  # [2B, bins, T]
            first, second = magnitude.chunk(2)
            mel_first, mel_second = torch.log10(mel @ magnitude + 1e-4).chunk(2)
            heard = heard + _MEL * (mel_first - mel_second).abs().mean() + _MAGNITUDE * (first - second).abs().mean()
        return Distance(heard / len(_SCALES), phase / len(_SCALES))


def _magnitude(spectrum: Tensor) -> Tensor:
    return (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()  # gradients without bounds at 0 else


def mel_filters(size: int, bands: int, low: float = 0.0, high: float = SAMPLE_RATE / 2) -> Tensor:
    """Triangles [bands, size / 2 + 1] that sum to one, evenly spaced in mel."""
    edges_mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, size // 2 + 1)
    up = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(up, down))
    return torch.tensor(filters / np.maximum(filters.sum(1, keepdims=True), 1e-3), dtype=torch.float32)
