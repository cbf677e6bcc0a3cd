"""An independent judge of speech: Whisper, an ear that took no part in training, and what can be measured beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dia2.adapter.word_errors import edits
from dia2.runtime.words import WHISPER_RATE, load_whisper
from training.vocoder import SAMPLE_RATE

Sound = np.ndarray[Any, np.dtype[np.float32]]

SECOND = SAMPLE_RATE
STEP = SAMPLE_RATE // 100  # between looks at the pitch: 10 ms
_WINDOW = 960
_PITCH_RANGE = (60.0, 350.0)  # Hz
_VOICED = 0.7  # height of the autocorrelation's peak
_SAME = 0.9  # of the highest peak: an earlier one so high is the period, and the highest a multiple of it
_SILENT = 1e-4  # mean square
_DRAWS = 4000


class Ear:
    """Whisper, and how its words are compared."""

    def __init__(self, whisper: str, language: str | None = "en") -> None:
        """Load a checkpoint by its name or path.

        Args:
            whisper: its name or path.
            language: what is spoken, by Whisper's code; `None`: it finds out.

        Raises:
            UsageError: Whisper is not installed, or the name is unknown.
            Dia2Error: the checkpoint cannot be had.
        """
        beside = Path(sys.prefix) / "whisper" / f"{whisper}.pt"  # where `make` puts them
        self._model = load_whisper(str(beside) if beside.is_file() else whisper, torch.device("cpu"))
        self._language = language

    def hear(self, samples: Sound, rate: int = SAMPLE_RATE) -> list[str]:
        """The words in samples [N] at `rate` Hz, as `plain` writes them; no chance is in it."""
        import soxr

        sound = soxr.resample(samples, rate, WHISPER_RATE).astype(np.float32)
        heard = self._model.transcribe(
            sound, language=self._language, temperature=0.0, condition_on_previous_text=False, fp16=False
        )
        return self.plain(heard["text"])

    def plain(self, text: str) -> list[str]:
        """Words as they are compared: in English as `plain` writes them, else without case and punctuation."""
        return plain(text) if self._language == "en" else _basic()(text).split()

    def errors(self, text: str, samples: Sound) -> Count:
        """Words of a text that are heard otherwise, missed or added."""
        wanted = self.plain(text)
        return Count(edits(wanted, self.hear(samples)), len(wanted))


@cache
def _normalizer() -> Callable[[str], str]:
    from whisper.normalizers import EnglishTextNormalizer

    found: Callable[[str], str] = EnglishTextNormalizer()
    return found


@cache
def _basic() -> Callable[[str], str]:
    from whisper.normalizers import BasicTextNormalizer

    found: Callable[[str], str] = BasicTextNormalizer()
    return found


def plain(text: str) -> list[str]:
    """Words as Whisper's own normalizer writes them: contractions written out, numbers in digits, one spelling."""
    return _normalizer()(text).split()


@dataclass(frozen=True)
class Count:
    """Errors of so many words."""

    errors: int
    words: int


def word_error_rate(counts: Sequence[Count], seed: int = 0) -> dict[str, float]:
    """Errors by words with a 95 % interval: a bootstrap over scripts, whose words stand and fall together."""
    errors, words = (np.array([getattr(c, name) for c in counts], np.float64) for name in ("errors", "words"))
    drawn = np.random.default_rng(seed).integers(0, len(counts), (_DRAWS, len(counts)))
    rates = errors[drawn].sum(1) / words[drawn].sum(1)
    low, high = np.quantile(rates, (0.025, 0.975))
    return {
        "wer": float(errors.sum() / words.sum()), "from": float(low), "to": float(high), "words": float(words.sum()),
    }  # fmt: skip


def pitch(samples: Sound) -> Sound:
    """Hz every 10 ms, 0 where there is no voice; samples [N] at 24 kHz → [N / 240], by autocorrelation."""
    count = len(samples) // STEP
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    window = np.hanning(_WINDOW).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::STEP][:count] * window
    low, high = (int(SAMPLE_RATE / f) for f in reversed(_PITCH_RANGE))
    shape = _autocorrelation(window[None])[0]
    heights = _autocorrelation(pieces)[:, low : high + 1] / (shape[low : high + 1] / shape[0])
    energy = np.square(pieces).sum(1)
    heights /= np.maximum(energy, 1e-9)[:, None]
    best = heights.max(1)
    inner = (heights[:, 1:-1] >= heights[:, :-2]) & (heights[:, 1:-1] >= heights[:, 2:])
    peaks = inner & (heights[:, 1:-1] >= _SAME * best[:, None])
    first = peaks.argmax(1)
    voiced = (best > _VOICED) & peaks.any(1) & (energy / _WINDOW > _SILENT)
    return np.where(voiced, SAMPLE_RATE / (low + 1 + first), 0.0).astype(np.float32)


def _autocorrelation(pieces: Sound) -> Sound:
    power = np.abs(np.fft.rfft(pieces, 2 * _WINDOW)) ** 2
    return np.fft.irfft(power)[:, :_WINDOW].astype(np.float32)


def semitones(hertz: Sound) -> float:
    """How far pitch spreads about its median, in semitones (standard deviation); NaN where there is no voice."""
    voiced = hertz[hertz > 0]
    return float((12 * np.log2(voiced / np.median(voiced))).std()) if len(voiced) >= 10 else float("nan")


def loudness(samples: Sound) -> float:
    """Root mean square of what sounds, in dB of full scale."""
    pieces = samples[: len(samples) // STEP * STEP].reshape(-1, STEP)
    power = np.square(pieces).mean(1)
    loud = power[power > _SILENT]
    return float(10 * np.log10(loud.mean())) if len(loud) else float("-inf")
