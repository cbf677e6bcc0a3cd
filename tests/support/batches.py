"""Requests of batches, and what is expected of their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dia2 import GenerationResult, Request
from dia2.common.progress import Progress

from .reference import Case, Recorder, cases

CASES = [case.values[0] for case in cases()]
SCRIPT = "[S1] one two three [S2] four"


class EnoughError(Exception):
    """Raised by a test's callback."""


def of(checkpoint: str) -> list[Case]:
    return [case for case in CASES if case.checkpoint == checkpoint]


def request(case: Case, changes: dict[str, Any] | None = None, **options: Any) -> Request:
    return Request(case.expected["script"], case.config(**(changes or {})), **options)


def after(frames: int, what: BaseException | None = None) -> Callable[[Progress], None]:
    """A callback that raises after so many frames."""

    def tell(progress: Progress) -> None:
        if progress.frames >= frames:
            raise what or EnoughError(f"after {frames} frames")

    return tell


def assert_same(many: Sequence[object], alone: Sequence[GenerationResult]) -> None:
    for one, other in zip(many, alone, strict=True):
        assert isinstance(one, GenerationResult)
        assert torch.equal(one.audio_tokens, other.audio_tokens)
        assert torch.allclose(one.waveform, other.waveform, atol=1e-5)
        for name in (
            "words",
            "timestamps",
            "speakers",
            "stop_reason",
            "unspoken",
            "first_word_frame",
            "crop",
            "frames",
        ):
            assert getattr(one, name) == getattr(other, name)


class Failing(Recorder):
    """An observer that fails at its third call."""

    def frames(self, frames: Any, /) -> None:
        raise EnoughError("observing")
