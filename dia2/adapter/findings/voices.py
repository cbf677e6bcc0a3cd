"""Two recordings of a prefix that are one sound, or have one voice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

_SAME = 0.5  # of the codes, where two recordings are one
_FEWEST = 12  # frames that overlap
ALIKE_DECIBELS = 3.6  # between the mean spectra of two recordings of one voice, at most
ALIKE_SEMITONES = 1.5  # between their pitches, at most

_WINDOW, _HOP = 0.04, 0.02  # seconds
_PITCH_WINDOW = 0.06  # seconds: three periods of the lowest
_LOWEST, _HIGHEST = 60.0, 400.0  # Hz of a voice's pitch
_BANDS, _FROM, _TO = 24, 100.0, 6000.0  # of the spectrum, Hz
_LOUD = 25.0  # dB below the loudest window; what is farther below is no speech
_VOICED = 0.5  # correlation of a window with itself one period later, from which on it has a pitch
_MOST_WINDOWS = 1500  # half a minute of speech tells a voice

TWICE = FindingKind(
    "prefix-one-voice-twice",
    "bad",
    f"Half of the codes of both recordings are the same, however they are laid over each other; or, as a note, their "
    f"mean spectra lie within {ALIKE_DECIBELS:g} dB and their pitches within {ALIKE_SEMITONES:g} semitones.",
    "Codes of two recordings agree by chance only, even of one voice. Of 20 recordings by four synthetic voices, those "
    "of one voice lie within 2.7 dB and 0.5 semitones; of two voices with a pitch as near none lie within 5.1 dB.",
    "give each speaker a recording of their own",
)


class VoiceFacts(NamedTuple):
    """What tells a voice, whatever it says."""

    spectrum: np.ndarray  # [bands] mean level in dB, without the loudness
    pitch: float  # Hz; NaN where nothing is voiced


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """The largest share of equal codes of [K, n] and [K, m], however they are laid over each other."""
    best = 0.0
    for shift in range(_FEWEST - second.shape[1], first.shape[1] - _FEWEST + 1):
        one = first[:, max(0, shift) : shift + second.shape[1]]
        other = second[:, max(0, -shift) : max(0, -shift) + one.shape[1]]
        changing = (one[:, 1:] != one[:, :-1]).any(axis=0)  # pauses are alike in all recordings
        same = (one == other)[:, 1:][:, changing]
        if same.shape[1] >= _FEWEST:
            best = max(best, float(same.mean()))
    return best


def voice_facts(samples: np.ndarray, rate: int) -> VoiceFacts | None:
    """What tells the voice of a recording [N]; `None` where there is too little of it."""
    windows = _speech(samples, round(_WINDOW * rate), round(_HOP * rate))
    if len(windows) < _FEWEST:
        return None
    size = 1 << (windows.shape[1] - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), size)))
    levels = 10 * np.log10(power @ _filters(size, rate) + 1e-12)  # [windows, bands]
    spectrum = levels.mean(axis=0)
    return VoiceFacts(spectrum - spectrum.mean(), _pitch(samples, rate))


def _speech(samples: np.ndarray, width: int, hop: int) -> np.ndarray:
    """[windows, width] those that are loud, spread over the recording where they are many."""
    if len(samples) < width:
        return np.zeros((0, width))
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), width)[::hop]
    power = np.square(windows).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-_LOUD / 10))
    return windows[loud[:: max(1, -(-len(loud) // _MOST_WINDOWS))]]


def _filters(size: int, rate: int) -> np.ndarray:
    """[size // 2 + 1, bands] triangles of equal width on the mel scale."""
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(size, 1 / rate) / 700)
    edges = np.linspace(2595 * np.log10(1 + _FROM / 700), 2595 * np.log10(1 + _TO / 700), _BANDS + 2)
    width = edges[1] - edges[0]
    triangles: np.ndarray = np.clip(1 - np.abs(mel[:, None] - edges[None, 1:-1]) / width, 0, None)
    return triangles


def _pitch(samples: np.ndarray, rate: int) -> float:
    """The median pitch in Hz, by autocorrelation."""
    windows = _speech(samples, round(_PITCH_WINDOW * rate), round(_HOP * rate))
    if not len(windows):
        return float("nan")
    windows = windows - windows.mean(axis=1, keepdims=True)
    size = 1 << (2 * windows.shape[1] - 1).bit_length()
    spread = np.fft.irfft(np.square(np.abs(np.fft.rfft(windows, size))), size)
    least, most = int(rate / _HIGHEST), int(rate / _LOWEST)
    shares = spread[:, least:most] / (spread[:, :1] + 1e-12)
    best = shares.argmax(axis=1)
    voiced = shares.max(axis=1) > _VOICED
    return float(np.median(rate / (least + best[voiced]))) if voiced.any() else float("nan")


def _alike(trace: Dia2Trace) -> Iterator[Finding]:
    """By the sound, where the trace keeps it."""
    facts = [voice_facts(recording.samples, recording.rate) for recording in trace.recordings]
    if len(facts) < 2 or facts[0] is None or facts[1] is None:
        return
    distance = float(np.sqrt(np.square(facts[0].spectrum - facts[1].spectrum).mean()))
    apart = abs(12 * np.log2(facts[0].pitch / facts[1].pitch))  # NaN is near nothing
    if distance < ALIKE_DECIBELS and apart < ALIKE_SEMITONES:
        pitches = " and ".join(f"{one.pitch:.0f} Hz" for one in facts if one is not None)
        text = f"Both recordings seem to be of one voice: pitches of {pitches}, spectra {distance:.1f} dB apart."
        yield TWICE.found(text, 0, trace.run.prefix_frames - 1, severity="note")


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    frames = trace.run.voice_frames
    if "voice" in trace.redacted or len(frames) < 2 or not all(frames) or trace.prefix is None:
        return
    codes = trace.prefix.codes
    share = agreement(codes[:, : frames[0]], codes[:, frames[0] :])
    if share >= _SAME:
        text = f"Both recordings are the same sound: {share:.0%} of their codes agree."
        yield TWICE.found(text, 0, sum(frames) - 1)
    else:
        yield from _alike(trace)


DETECTORS = (Detector((TWICE,), _look),)
