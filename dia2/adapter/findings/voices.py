"""Two recordings of a prefix that have one voice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

_SAME = 0.5  # of the codes, where two recordings are one
_FEWEST = 12  # frames that overlap

TWICE = FindingKind(
    "prefix-one-voice-twice",
    "bad",
    f"Half of the codes of both recordings, {_FEWEST} frames or more laid over each other, are the same.",
    "Codes of two different recordings agree by chance only, even of one voice.",
    "give each speaker a recording of their own",
)


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


DETECTORS = (Detector((TWICE,), _look),)
