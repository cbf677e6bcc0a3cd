"""Results of runs that never were, for what prints and writes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dia2.generation import GenerationResult, PlacedWord


def made_result(
    words: Sequence[tuple[str, float, int]],
    waveform: torch.Tensor,
    sample_rate: int,
    *,
    seed: int = 0,
    crop: int = 0,
    frames: int = 1,
    seconds: float = 1.0,
) -> GenerationResult:
    """A result of (word, second at which it sounds, speaker) that ended by itself."""
    return GenerationResult(
        audio_tokens=torch.zeros(1, 8, 1, dtype=torch.int64),
        waveform=waveform,
        sample_rate=sample_rate,
        timestamps=[(text, start + 0.16) for text, start, _ in words],
        speakers=[speaker for *_, speaker in words],
        words=[PlacedWord(text, start, speaker, start + 0.16) for text, start, speaker in words],
        seed=seed,
        stop_reason="end",
        unspoken=0,
        first_word_frame=crop,
        crop=crop,
        frames=frames,
        seconds=seconds,
        peak_host_bytes=400_000_000,
    )
