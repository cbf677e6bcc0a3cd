"""Codes that repeat while they sound: a drone, a stutter, a loop; and words of a script that are said again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.adapter.findings.made import made_sound
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.stretches import stretches

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

_LONGEST = 40  # calls after which codes are compared with what they were
_ALIKE = 0.7  # of the codebooks that are the same
LOOP_CALLS = 10  # calls in a row that equal those before
_TIMES = 2  # times that a period is heard again, at least

LOOP = FindingKind(
    "loop",
    "bad",
    f"{LOOP_CALLS} calls in a row, and {_TIMES} periods, draw codes of which {_ALIKE:.0%} are those of 1 … {_LONGEST} "
    "calls before, while the audio sounds.",
    "In 48 clean runs codes repeat in pauses only; of those that sound no stretch was half as long.",
    "take another seed, or draw less narrowly (temp_audio=0.8, topk_audio=50)",
)


def repeating(codes: np.ndarray, counts: np.ndarray) -> list[tuple[int, int, int]]:
    """Stretches of rows that repeat, the longest first, none within another.

    Args:
        codes: [n, K].
        counts: [n] bool: rows that may count.

    Returns:
        For each its first row, the row after its last, and its period.
    """
    found: list[tuple[int, int, int]] = []
    for period in range(1, min(_LONGEST, len(codes) // 2) + 1):
        same = ((codes[period:] == codes[:-period]).mean(axis=1) >= _ALIKE) & counts[period:] & counts[:-period]
        found += [
            (first, last + period, period)
            for first, last in stretches(same)
            if last - first >= max(LOOP_CALLS, _TIMES * period)
        ]
    kept: list[tuple[int, int, int]] = []
    for first, last, period in sorted(found, key=lambda one: (one[0] - one[1], one[2])):
        if all(last <= other[0] or first >= other[1] for other in kept):
            kept.append((first, last, period))
    return sorted(kept)


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    sound = None if "voice" in trace.redacted else made_sound(trace)
    if sound is None:
        return
    warmup, delay = trace.warmup_calls, trace.model.delays[0]
    codes = trace.codes[warmup:]
    frames = trace.steps[warmup:] + 1 - delay - trace.crop  # of codebook 0's code that each call draws
    loud = sound.levels.sounding
    counts = (frames >= 0) & (frames < len(loud)) & loud[np.clip(frames, 0, len(loud) - 1)]
    for first, last, period in repeating(codes, counts):
        what = "the same codes" if period == 1 else f"the same {period} calls' codes over and over"
        seconds = (last - first) / sound.rate
        yield LOOP.found(f"{seconds:.1f} s of sound have {what}.", warmup + first, warmup + last - 1)


DETECTORS = (Detector((LOOP,), _look),)
