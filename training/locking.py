"""Frame-locked speech: what makes a codec of three million weights enough.

A waveform codec trained on plain losses must guess the phase of every pitch period and the grain of every hiss; it
cannot, and blurs. Here speech is taken apart into a spectral envelope and a degree of voicing, and put together again
from pulses at a whole multiple of the codec's frame rate (so that every 80 ms frame holds the same number of pulses
at the same places) and from one noise that repeats in every frame. What is heard stays; the waveform becomes a
function of slowly changing parameters, which a small codec can match sample by sample. The price is a stepped pitch.

The parts are textbook ones: autocorrelation pitch, cepstral minimum-phase filters, overlap-add.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fft

from training.espeak import SAMPLE_RATE

Samples = np.ndarray[Any, np.dtype[np.float32]]

FRAME = 1920  # samples of a codec frame
HOP = 120  # samples between envelopes: 5 ms
BINS = 1024  # of the envelope's Fourier transform
_PITCH_HOP, _PITCH_WINDOW = 240, 960
_PITCH_RANGE = (60.0, 330.0)  # Hz, where voicing is looked for
_VOICED, _UNVOICED = 0.75, 0.45  # autocorrelation at which a sound counts as all voice, as no voice
_NOISE = torch.from_numpy(np.random.default_rng(0).standard_normal(FRAME).astype(np.float32))


def lock(samples: Samples, multiples: tuple[int, ...]) -> Samples:
    """Speech [N], N a multiple of FRAME, from the same envelope and voicing with locked pulses and noise.

    Args:
        samples: [N] at SAMPLE_RATE.
        multiples: the pulses a frame may have, 6 (75 Hz) or more; the speaker's pitch is moved to the nearest. One
            alone: a monotone.
    """
    assert min(multiples) >= 6, "three periods of a lower pitch are longer than the transform"
    frames = len(samples) // FRAME
    steps = frames * FRAME // HOP
    sound = torch.from_numpy(samples)
    pitch, voicing = _pitch(sound)
    pulses = _pulses_per_frame(pitch, voicing, frames, multiples)
    envelope = _envelope(sound, steps, float(np.median(pulses)) * SAMPLE_RATE / FRAME)  # [steps, BINS / 2 + 1] log
    times = np.arange(steps) * (HOP / _PITCH_HOP)
    degree = np.clip((voicing - _UNVOICED) / (_VOICED - _UNVOICED), 0, 1)
    voiced = np.interp(times, np.arange(len(voicing)), degree).astype(np.float32)
    # Above 3.5 kHz even voiced sounds are mostly breath.
    share = torch.from_numpy(voiced)[:, None] * (1 - 0.7 * _upper_band())
    out = np.zeros(len(samples) + 2 * BINS, np.float32)

    places = [
        (round(frame * FRAME + i * FRAME / count), FRAME / count)
        for frame, count in enumerate(pulses)
        for i in range(count)
    ]
    near = np.array([min(steps - 1, round(at / HOP)) for at, _ in places])
    kept = np.flatnonzero(voiced[near] > 0.02)
    at_pulses = torch.from_numpy(near[kept])
    pulse_filters = _minimum_phase(envelope[at_pulses] + 0.5 * torch.log(share[at_pulses] + 1e-6))
    for i, shape in zip(kept, pulse_filters.numpy(), strict=True):
        at, period = places[i]
        out[at : at + BINS] += shape * np.float32(np.sqrt(period))

    noise = _NOISE.repeat(frames).view(steps, HOP)
    noise_filters = _minimum_phase(envelope + 0.5 * torch.log(1 - share + 1e-6))
    grains = fft.irfft(fft.rfft(noise, 2 * BINS) * fft.rfft(noise_filters, 2 * BINS), 2 * BINS)[:, : BINS + HOP]
    for step, grain in enumerate(grains.numpy()):
        out[step * HOP : step * HOP + BINS + HOP] += grain
    return np.clip(out[: len(samples)], -1, 1)


def _pitch(sound: Tensor) -> tuple[Samples, Samples]:
    """Frequency in Hz and height of the autocorrelation's peak, every 10 ms."""
    window = torch.hann_window(_PITCH_WINDOW, periodic=False)
    pieces = _pieces(sound, _PITCH_WINDOW, _PITCH_HOP, len(sound) // _PITCH_HOP) * window
    size = 2048  # longer than the window and the longest lag
    correlation = fft.irfft(_power(pieces, size))[:, :_PITCH_WINDOW]
    of_window = fft.irfft(_power(window, size))[:_PITCH_WINDOW]
    correlation /= (correlation[:, :1] + 1e-6) * (of_window / of_window[0] + 1e-3)
    low, high = (int(SAMPLE_RATE / f) for f in reversed(_PITCH_RANGE))
    heights, lags = correlation[:, low:high].max(1)
    loud = (pieces**2).mean(1) > 1e-6
    return (SAMPLE_RATE / (low + lags)).numpy(), (heights * loud).numpy()


def _pulses_per_frame(pitch: Samples, voicing: Samples, frames: int, multiples: tuple[int, ...]) -> list[int]:
    """The allowed number of pulses nearest to each frame's median pitch; frames without voice follow those with."""
    choices = np.array(multiples)
    if len(choices) == 1:
        return [int(choices[0])] * frames
    per_frame = FRAME // _PITCH_HOP
    medians = np.full(frames, np.nan)
    for frame in range(frames):
        part = slice(frame * per_frame, (frame + 1) * per_frame)
        voiced = pitch[part][voicing[part] > 0.6]
        if len(voiced) >= 2:
            medians[frame] = np.median(voiced)
    known = np.flatnonzero(~np.isnan(medians))
    if len(known) == 0:
        return [int(np.median(choices))] * frames
    medians = np.interp(np.arange(frames), known, medians[known])
    nearest = np.abs(medians[:, None] * FRAME / SAMPLE_RATE - choices).argmin(1)
    return [int(count) for count in choices[nearest]]


def _envelope(sound: Tensor, steps: int, pitch: float) -> Tensor:
    """Log magnitude [steps, BINS / 2 + 1], smoothed over a harmonic so that no pitch is left in it."""
    width = int(3 * SAMPLE_RATE / pitch)
    window = torch.hann_window(width, periodic=False)
    pieces = _pieces(sound, width, HOP, steps) * window
    power = _power(pieces, BINS) / (window**2).sum()
    bins = max(1, round(pitch / (SAMPLE_RATE / BINS)))
    padded = F.pad(power, (bins // 2, bins - 1 - bins // 2), mode="reflect")
    return 0.5 * torch.log(F.avg_pool1d(padded[:, None], bins, stride=1)[:, 0] + 1e-9)


def _power(pieces: Tensor, size: int) -> Tensor:
    """Squared magnitude of the Fourier transform, [..., size / 2 + 1]."""
    return torch.view_as_real(fft.rfft(pieces, size)).square().sum(-1)


def _pieces(sound: Tensor, width: int, hop: int, count: int) -> Tensor:
    """[count, width]: windows centred on every hop."""
    return F.pad(sound, (width // 2, width)).unfold(0, width, hop)[:count]


def _minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Impulse responses [n, BINS] of the filters with these log magnitudes, all their energy as early as can be."""
    cepstrum = fft.irfft(log_magnitude, BINS)
    cepstrum[:, 1 : BINS // 2] *= 2
    cepstrum[:, BINS // 2 :] = 0
    spectrum = fft.rfft(cepstrum, BINS)
    out: Tensor = fft.irfft(torch.polar(spectrum.real.exp(), spectrum.imag), BINS)  # exp, several times as fast
    return out


def _upper_band(split: float = 3500.0, width: float = 800.0) -> Tensor:
    """0 below `split` Hz, 1 above, gently."""
    return torch.sigmoid((torch.linspace(0, SAMPLE_RATE / 2, BINS // 2 + 1) - split) / (width / 4))
