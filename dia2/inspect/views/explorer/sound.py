"""Sounds for the explorer: what was generated, and what single codebooks add to it."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
import soxr

from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.inspect.trace.family import offered
from dia2.inspect.trace.trace import Trace

MIME = "audio/mpeg"  # every browser plays it, and soundfile writes it
RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz that MP3 has
_LONGEST = 3600  # seconds
_COMPRESSION = 0.5  # of MP3, from 0 to 1: some 57 kbit/s of speech, so that pages of minutes of sound stay small
_MOST_NAMED = 1024  # codebooks in one choice of them, the same ones again included


@dataclass(frozen=True)
class Sound:
    """Something to hear."""

    label: str
    data: bytes  # MP3


def playable(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """Samples [N] at a rate that MP3 has: theirs, or the next higher one, or the highest.

    Raises:
        TraceError: the sound is longer than any run's.
    """
    if rate in RATES:
        return samples, rate
    if len(samples) > _LONGEST * rate:
        raise TraceError(f"A sound of {len(samples):,} samples at a rate of {rate:,} Hz is too long to be shown.")
    target = next((known for known in RATES if known > rate), RATES[-1])
    return soxr.resample(np.ascontiguousarray(samples, np.float32), rate, target, quality="HQ"), target


def encode(samples: np.ndarray, rate: int) -> bytes:
    """Samples [N] in −1 … 1 as MP3, at one of its rates."""
    buffer = io.BytesIO()
    wave = np.clip(samples, -1, 1)
    soundfile.write(buffer, wave, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=_COMPRESSION)
    return buffer.getvalue()


def samples_of(trace: Trace[Any], script: int = 0, *, voice: bool = True) -> tuple[np.ndarray, int] | None:
    """Waveform [N] and rate of the trace's run, of Dia: of one script; `None` if it gave nothing, or it was redacted.

    Args:
        trace: the trace.
        script: which, from 0.
        voice: with what it holds of a prefix; else that is silent.

    Raises:
        TraceError: the file is damaged, or its sound longer than any run's.
    """
    found = trace.sound(script)
    if found is None or not len(found[0]):
        return None
    return playable(*found if voice else without_given(trace, script, *found))


def without_given(trace: Trace[Any], script: int, samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """Samples [N] with silence where a prefix is heard."""
    given = trace.given_samples(script)
    return np.concatenate((np.zeros_like(samples[:given]), samples[given:])), rate


def trace_sound(trace: Trace[Any], script: int = 0, *, voice: bool = True) -> Sound | None:
    """What the trace's run gave, of Dia: for one script; `None` if nothing."""
    found = samples_of(trace, script, voice=voice)
    return None if found is None else Sound("all codebooks", encode(*found))


def codebook_sound(trace: Trace[Any], tts: Any, books: Sequence[int], voice: bool = True) -> Sound:
    """The run's sound by some of its codebooks alone.

    Args:
        trace: whole, with its codes.
        tts: an engine with the codec that the run had.
        books: of the codebooks, one or more.
        voice: with what it holds of a prefix; else that is silent.

    Raises:
        UsageError: there is no such codebook, or none is named.
        TraceError: the trace's codes were redacted, or nothing was generated.
        CheckpointError: the codec computes no numbers.
    """
    chosen = _chosen(books, trace.codebooks)
    found = offered(trace, "codebooks")(trace, tts, chosen)
    heard = found if voice else without_given(trace, 0, *found)
    return Sound(_label(chosen, trace.codebooks), encode(*playable(*heard)))


def _chosen(books: Any, count: int) -> list[int]:
    """Codebooks in their order, each once.

    Raises:
        UsageError: it is no list of some of them.
    """
    listed = isinstance(books, Collection) and not isinstance(books, str | bytes | Mapping)
    if listed and 0 < len(books) <= _MOST_NAMED and all(_is_book(book, count) for book in books):
        return sorted({int(book) for book in books})
    raise UsageError(f"The codebooks to hear must be some of 0 … {count - 1}, not {short(books)}.")


def _is_book(book: object, count: int) -> bool:
    return isinstance(book, int | np.integer) and not isinstance(book, bool) and 0 <= int(book) < count


def _label(books: list[int], count: int) -> str:
    missing = [book for book in range(count) if book not in books]
    if not missing:
        return "all codebooks"
    if len(missing) == 1 and missing[0] < count - 1:
        return f"without codebook {missing[0]}"
    if books == list(range(len(books))):
        return "codebook 0 alone" if len(books) == 1 else f"codebooks 0 … {books[-1]}"
    return "codebooks " + ", ".join(map(str, books))
