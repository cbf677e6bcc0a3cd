"""Speech from flite's parameters, locked to the codec's frame: what makes a codec of a few million weights enough.

A waveform codec trained on plain losses must guess the phase of every pitch period and the grain of every hiss; it
cannot, and blurs. Here every 80 ms frame holds a whole number of equally spaced pulses, the first at its beginning,
and the noise is one piece of 80 ms that every frame has again: a steady sound repeats with the frame, sample by sample.
Phones begin on a grid of half frames. What is heard stays; the waveform becomes a function of slowly changing
parameters, which a small codec can match. The price: pitch moves in steps, from frame to frame.

The parts are textbook ones: mel-cepstra, minimum-phase filters, mixed excitation, overlap-add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.flite import BAND_EDGES, HOP, PAUSE, RATE, WARP, Floats, Phone, Reading

SAMPLE_RATE = 24_000  # Hz
FRAME = 1920  # samples of a codec frame: 80 ms
UNIT = FRAME // 2  # samples of a half frame, on whose grid phones begin
_HOP = round(HOP * SAMPLE_RATE)  # samples between parameters, as flite's
_PER_UNIT, _PER_FRAME = UNIT // _HOP, FRAME // _HOP  # parameters
_BANDS = len(BAND_EDGES) + 1  # of voicing
_BINS = 1024  # of a filter's Fourier transform; its response is over long before
_KEEP = 0.65  # how far the mean may be from the last frame's number of pulses before it changes: else it flickers
_SMOOTH = np.hanning(19)[1:-1] / np.hanning(19).sum()  # of the melody: hops
_TOP = (7_600.0, 9_000.0)  # Hz between which the spectrum ends: flite's ends at 8,000
_TOP_DEPTH = 7.0  # of log magnitude
_LEAST = 0.02  # amplitude of pulses or noise below which there are none in a band
STEPS = 8  # of a frame, for which `Speech.shapes` tells the spectrum
SHAPE = 30  # numbers that describe one: 25 of the cepstrum, 5 of the voicing
_PAUSE_UNITS = 2  # of a pause within a sentence, at most: Dia2's machine has at most seven frames from word to word
_RISE = 5.0  # semitones above the voice's pitch at which a question for yes or no ends
_RISE_SECONDS = 0.4

Complexes = np.ndarray[Any, np.dtype[np.complex64]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Voice:
    """How a speaker of the corpus sounds."""

    name: str  # flite's
    pitch: float  # Hz, about which its melody moves
    melody: float  # factor on its distance from there, in log pitch
    pulses: tuple[int, ...]  # that a frame may have
    gain: float  # on flite's amplitudes


@dataclass(frozen=True)
class Speech:
    """One sentence: phones begin at whole half frames, the first at 0."""

    samples: Floats  # [frames · FRAME] at SAMPLE_RATE
    end: int  # sample at which the last phone ends
    phones: tuple[tuple[str, int, int], ...]  # (name, its word as `Phone` counts, sample at which it begins)
    pulses: tuple[int, ...]  # of each frame
    shapes: Floats  # [frames, STEPS, SHAPE] the spectrum; see `shape_of`


def rhythm(phones: tuple[Phone, ...]) -> list[tuple[Phone, int]]:
    """The phones of a sentence without the pauses around it, and how many half frames each lasts: one at least."""
    sounding = [i for i, phone in enumerate(phones) if phone.name != PAUSE]
    found = []
    for phone in phones[sounding[0] : sounding[-1] + 1]:
        units = max(1, int((phone.end - phone.start) * SAMPLE_RATE / UNIT + 0.5))
        found.append((phone, min(units, _PAUSE_UNITS) if phone.name == PAUSE else units))
    return found


def speak(reading: Reading, voice: Voice, rising: bool = False) -> Speech:
    """What was read, as sound.

    Args:
        reading: of one sentence.
        voice: that was asked to read it.
        rising: whether pitch rises at the end, as in a question for yes or no.
    """
    kept = rhythm(reading.phones)
    at, named = 0, []
    for phone, units in kept:
        named.append((phone.name, phone.word, at * UNIT))
        at += units
    times = _source_times(kept)
    times = np.append(times, np.full(at % 2 * _PER_UNIT, times[-1]))  # to the end of a frame
    voiced = _at((reading.pitch > 0).astype(np.float32)[:, None], times)
    cepstra, strengths = _at(reading.cepstra, times), _at(reading.voicing, times) * voiced
    curve = voice.pitch * np.exp(voice.melody * (_at(_log_pitch(reading)[:, None], times)[:, 0] - np.log(voice.pitch)))
    if rising:
        share = _rise(len(curve), at * _PER_UNIT)
        curve = curve ** (1 - share) * (voice.pitch * 2 ** (_RISE / 12)) ** share
    numbers = pulse_numbers(curve, voice.pulses)
    samples = _synthesise(cepstra, strengths, numbers, at * _PER_UNIT)
    cepstra[:, 0] += np.log(np.float32(voice.gain * 32768))
    shapes = shape_of(cepstra, strengths, at * _PER_UNIT)
    return Speech(np.clip(np.float32(voice.gain) * samples, -1, 1), at * UNIT, tuple(named), tuple(numbers), shapes)


def shape_of(cepstra: Floats, strengths: Floats, end: int) -> Floats:
    """What a codec has to keep of the spectrum: [frames, STEPS, SHAPE], each step the mean of its hops.

    Args:
        cepstra: [hops, 25] of whole frames, for a sound of 16 bits.
        strengths: [hops, 5] of voice.
        end: the hop from which on nothing sounds: there everything is 0, which is as good as silent.
    """
    hops = np.concatenate([cepstra, strengths], 1)
    hops[end:] = 0
    means: Floats = hops.reshape(-1, STEPS, _PER_FRAME // STEPS, SHAPE).mean(2)
    return means


def sound_of(shapes: Floats, numbers: list[int]) -> Floats:
    """Samples [frames · FRAME] of `shapes` [frames, STEPS, SHAPE] with so many pulses a frame."""
    steps = shapes.reshape(-1, SHAPE)
    hops = len(steps) * _PER_FRAME // STEPS
    places = (np.arange(hops) + 0.5) * STEPS / _PER_FRAME - 0.5
    rows = _at(steps, np.clip(places, 0, len(steps) - 1))
    cepstra, strengths = rows[:, :-_BANDS], np.clip(rows[:, -_BANDS:], 0, 1)
    samples: Floats = np.clip(_synthesise(cepstra, strengths, numbers, hops) / np.float32(32768), -1, 1)
    return samples


def pulse_numbers(curve: Floats | Doubles, allowed: tuple[int, ...]) -> list[int]:
    """Pulses of every frame: its mean pitch rounded, but the last frame's number while that is near enough.

    Args:
        curve: [hops] pitch in Hz, the hops of whole frames.
        allowed: the numbers that may be used.
    """
    means = curve.reshape(-1, _PER_FRAME).mean(1) * FRAME / SAMPLE_RATE
    choices = np.array(sorted(allowed))
    numbers: list[int] = []
    for mean in means:
        if not numbers or abs(mean - numbers[-1]) > _KEEP:
            numbers.append(int(choices[np.abs(choices - mean).argmin()]))
        else:
            numbers.append(numbers[-1])
    return numbers


def _source_times(kept: list[tuple[Phone, int]]) -> Doubles:
    """For every hop that is spoken, its place in the reading, in hops: within a phone at an even pace."""
    return np.concatenate(
        [
            phone.start / HOP
            + (np.arange(units * _PER_UNIT) + 0.5) * (phone.end - phone.start) / HOP / (units * _PER_UNIT)
            for phone, units in kept
        ]
    )


def _at(rows: Floats | Doubles, times: Doubles) -> Floats:
    """Rows [N, C] at fractional places [H]: [H, C]."""
    low = np.clip(times.astype(int), 0, len(rows) - 2)
    share = np.clip(times - low, 0, 1).astype(np.float32)[:, None]
    mixed: Floats = rows[low] * (1 - share) + rows[low + 1] * share
    return mixed


def _log_pitch(reading: Reading) -> Doubles:
    """Log pitch [N] as a smooth curve that goes on where there is no voice."""
    known = np.flatnonzero(reading.pitch)
    if not len(known):
        return np.full(len(reading.pitch), np.log(100.0))
    curve = np.interp(np.arange(len(reading.pitch)), known, np.log(reading.pitch[known]))
    reach = len(_SMOOTH) // 2
    return np.convolve(np.pad(curve, reach, mode="edge"), _SMOOTH, mode="valid")


def _rise(hops: int, end: int) -> Doubles:
    """How far [hops], 0 … 1, pitch has moved to where it ends at the hop `end`."""
    length = min(end, round(_RISE_SECONDS / HOP))
    share = np.clip((np.arange(hops) - end + length) / length, 0, 1)
    return (1 - np.cos(np.pi * share)) / 2


def _synthesise(cepstra: Floats, strengths: Floats, numbers: list[int], end: int) -> Floats:
    """Sound from cepstra [H, 25] and strengths of voice [H, 5]; excitation stops at hop `end`, sound rings on."""
    places = np.array(
        [
            (round(frame * FRAME + i * FRAME / count), FRAME / count)
            for frame, count in enumerate(numbers)
            for i in range(count)
        ]
    )
    at, hops = places[:, 0].astype(int), places[:, 0].astype(int) // _HOP
    kept = (strengths[hops].max(1) > _LEAST) & (hops < end)
    shapes = _responses(_filters(cepstra[hops[kept]], strengths[hops[kept]]))
    shapes *= np.sqrt(places[kept, 1:]).astype(np.float32)  # as strong as noise, whatever the pitch
    out = np.zeros(len(cepstra) * _HOP + 2 * _BINS, np.float32)
    for begin, shape in zip(at[kept], shapes, strict=True):
        out[begin + _HOP : begin + _HOP + _BINS] += shape
    grains = _responses(_filters(cepstra[:end], 1 - strengths[:end]) * _GRAINS[np.arange(end) % _PER_FRAME])
    per_grain = -(-_BINS // _HOP)  # hops
    grains = np.pad(grains, ((0, 0), (0, per_grain * _HOP - _BINS))).reshape(end, per_grain, _HOP)
    noise = np.zeros((end + per_grain, _HOP), np.float32)
    for i in range(per_grain):
        noise[i : i + end] += grains[:, i]
    noise = noise.reshape(-1)[: len(out) - _HOP // 2]
    out[_HOP // 2 : _HOP // 2 + len(noise)] += noise
    return out[_HOP : _HOP + len(cepstra) * _HOP]


def _filters(cepstra: Floats, weights: Floats) -> Complexes:
    """Spectra [n, bins] of the minimum-phase filters with these cepstra [n, 25] and band weights [n, 5]."""
    parts = np.concatenate([cepstra, np.log(np.maximum(weights, _LEAST))], 1)
    exponent = parts @ _BASIS + _EDGE  # [n, 2 bins]: log magnitude, and phase
    magnitude, phase = np.exp(exponent[:, : _BINS // 2 + 1]), exponent[:, _BINS // 2 + 1 :]
    out: Complexes = magnitude * np.cos(phase) + 1j * (magnitude * np.sin(phase))
    return out


def _responses(spectra: Complexes) -> Floats:
    return np.fft.irfft(spectra, _BINS).astype(np.float32)


def _minimum_phase(log_magnitude: Doubles) -> Floats:
    """Log magnitudes [n, bins] with the least phase they can have beside them: [n, 2 bins]."""
    cepstrum = np.fft.irfft(log_magnitude, _BINS)
    cepstrum[:, 1 : _BINS // 2] *= 2
    cepstrum[:, _BINS // 2 + 1 :] = 0
    spectrum = np.fft.rfft(cepstrum, _BINS)
    return np.concatenate([spectrum.real, spectrum.imag], 1).astype(np.float32)


def _basis() -> tuple[Floats, Floats]:
    """What each coefficient and each band's log weight adds to a filter's exponent [30, 2 bins]; and the upper edge."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, _BINS // 2 + 1)
    angle = 2 * np.pi * np.minimum(frequencies, RATE / 2) / RATE
    warped = angle + 2 * np.arctan(WARP * np.sin(angle) / (1 - WARP * np.cos(angle)))
    waves = np.cos(np.arange(25)[:, None] * warped)
    # Bands fade into one another over a third of an octave.
    above = [1 / (1 + (edge / np.maximum(frequencies, 1)) ** 12) for edge in BAND_EDGES]
    steps = np.stack([np.ones_like(frequencies), *above, np.zeros_like(frequencies)])
    bands = steps[:-1] - steps[1:]
    low, high = _TOP
    edge = -_TOP_DEPTH * (1 - np.cos(np.pi * np.clip((frequencies - low) / (high - low), 0, 1))) / 2
    return _minimum_phase(np.concatenate([waves, bands])), _minimum_phase(edge[None])


def _noise_grains() -> Complexes:
    """Spectra [16, bins] of the frame's noise, cut into overlapping windows two hops long, one for each hop."""
    noise = np.random.default_rng(0).standard_normal(FRAME)
    window = np.hanning(2 * _HOP + 1)[:-1]
    places = np.arange(-_HOP // 2, 3 * _HOP // 2) + _HOP * np.arange(_PER_FRAME)[:, None]
    return np.fft.rfft(noise[places % FRAME] * window, _BINS).astype(np.complex64)


_BASIS, _EDGE = _basis()
_GRAINS = _noise_grains()
