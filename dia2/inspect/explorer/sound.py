"""Sounds for the explorer: what was generated, and what single codebooks add to it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch

from dia2.audio.finite import require_numbers
from dia2.errors import TraceError
from dia2.inspect.trace import Trace

if TYPE_CHECKING:
    from dia2.engine import Dia2
    from dia2.inspect.dia.trace import DiaTrace

MIME = "audio/mpeg"  # every browser plays it, and soundfile writes it


@dataclass(frozen=True)
class Sound:
    """Something to hear."""

    label: str
    data: bytes  # MP3


def encode(samples: np.ndarray, rate: int) -> bytes:
    """Samples [N] in −1 … 1 as MP3."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), rate, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


def samples_of(trace: Trace | DiaTrace, script: int = 0) -> tuple[np.ndarray, int] | None:
    """Waveform [N] and rate of the trace's run, of Dia: of one script; none if it gave nothing, or it was redacted."""
    found = trace.audio if isinstance(trace, Trace) else trace.audio(script)
    return found if found is not None and len(found[0]) else None


def trace_sound(trace: Trace | DiaTrace, script: int = 0) -> Sound | None:
    """What the trace's run gave, of Dia: for one script; none if nothing."""
    found = samples_of(trace, script)
    return None if found is None else Sound("all codebooks", encode(*found))


def codebook_sound(trace: Trace, tts: Dia2, books: Sequence[int]) -> Sound:
    """The run's sound by some of its codebooks alone.

    Args:
        trace: whole, with its codes.
        tts: an engine with the codec that the run had.
        books: of the codebooks, any of them.

    Raises:
        UsageError: there is no such codebook.
        TraceError: the trace's codes were redacted, or nothing was generated.
        CheckpointError: the codec computes no numbers.
    """
    count = trace.model.codebooks
    chosen = sorted(set(books))
    codes = trace.aligned
    if not codes.shape[1]:
        raise TraceError(f"{trace.path} has no whole frame to hear.")
    mimi = tts.runtime.mimi
    samples = require_numbers(mimi.stream(chosen).push(torch.from_numpy(codes.astype(np.int64))), mimi.name)
    return Sound(_label(chosen, count), encode(samples.cpu().numpy(), mimi.sample_rate))


def _label(books: list[int], count: int) -> str:
    missing = [book for book in range(count) if book not in books]
    if not missing:
        return "all codebooks"
    if len(missing) == 1 and missing[0] < count - 1:
        return f"without codebook {missing[0]}"
    if books == list(range(len(books))):
        return "codebook 0 alone" if len(books) == 1 else f"codebooks 0 … {books[-1]}"
    return "codebooks " + ", ".join(map(str, books))
