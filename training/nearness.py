"""How near the voice of some speech is to a speaker's recordings.

With Resemblyzer installed (`pip install Resemblyzer`, Apache-2.0; its network comes with the package) by the cosine
of two speaker embeddings. Without, by two crude measures, which tell a man's voice from a woman's and hardly more: how
far the median pitches and the long-term spectra lie apart.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from dia2.adapter.findings.voices import voice_facts
from dia2.adapter.trace import Dia2Trace

EMBEDDING, PITCH, SPECTRUM = "speaker embedding, cosine", "pitch apart, semitones", "spectrum apart, dB"
BETTER = {EMBEDDING: 1, PITCH: -1, SPECTRUM: -1}  # the sign of what is nearer
CRUDE = "crude: pitch and long-term spectrum alone; pip install Resemblyzer for speaker embeddings"
_SHORTEST = 1.0  # seconds of speech that tell a voice
_RATE = 16_000  # Hz, of Resemblyzer


def embeds() -> bool:
    """Whether speaker embeddings can be had."""
    return importlib.util.find_spec("resemblyzer") is not None


@cache
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder(device="cpu", verbose=False)


def _embedding(samples: np.ndarray, rate: int) -> np.ndarray:
    """[256], of length one, of samples [N] at `rate` Hz."""
    import soxr

    at_rate = soxr.resample(samples.astype(np.float32), rate, _RATE)
    embedding: np.ndarray = _encoder().embed_utterance(at_rate)
    return embedding


class Speaker:
    """A voice, as its recordings have it."""

    def __init__(self, samples: np.ndarray, rate: int) -> None:
        """Of all recordings of one speaker, end to end: samples [N] at `rate` Hz."""
        self._facts = voice_facts(samples, rate)
        self._embedding = _embedding(samples, rate) if embeds() else None

    def nearness(self, samples: np.ndarray, rate: int) -> dict[str, float]:
        """What the measures say of samples [N] at `rate` Hz: none of too little speech, or of what has no pitch."""
        if len(samples) < _SHORTEST * rate:
            return {}
        if self._embedding is not None:
            return {EMBEDDING: float(self._embedding @ _embedding(samples, rate))}
        found, known = voice_facts(samples, rate), self._facts
        if found is None or known is None:
            return {}
        apart = 12 * np.log2(found.pitch / known.pitch)
        return ({PITCH: float(abs(apart))} if np.isfinite(apart) else {}) | {
            SPECTRUM: float(np.sqrt(np.square(found.spectrum - known.spectrum).mean()))
        }


def speech_of(trace: Dia2Trace, speaker: int) -> tuple[np.ndarray, int]:
    """What a speaker says in a run, prefix left out: samples [N], and their rate in Hz."""
    if trace.audio is None:
        return np.zeros(0, np.float32), 1
    samples, rate = trace.audio
    begun = [word for word in trace.words if word.seconds is not None]
    ends = [*(word.seconds for word in begun[1:]), len(samples) / rate]
    pieces = [
        samples[round((word.seconds or 0.0) * rate) : round((end or 0.0) * rate)]
        for word, end in zip(begun, ends, strict=True)
        if word.speaker == speaker and not word.prefix
    ]
    return np.concatenate([*pieces, np.zeros(0, np.float32)]), rate


def nearness_of(trace: Dia2Trace, speakers: Mapping[int, Speaker]) -> dict[int, dict[str, float]]:
    """By speaker and measure, of a run."""
    return {number: speaker.nearness(*speech_of(trace, number)) for number, speaker in speakers.items()}
