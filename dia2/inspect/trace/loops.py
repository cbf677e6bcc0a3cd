"""Codes that repeat while they sound: a drone, a stutter, a loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.stretches import stretches

_LONGEST = 10.0  # seconds after which codes are compared with what they were
_ALIKE = 0.7  # of the codebooks that are the same
LOOP_SECONDS = 0.8  # in a row that equal those before

LOOP = FindingKind(
    "loop",
    "bad",
    f"For {LOOP_SECONDS:g} s, and all of what repeats, codes are drawn of which {_ALIKE:.0%} are those of up to "
    f"{_LONGEST:g} s before, while the audio sounds; or Whisper, where it is asked, hears two words or more twice in "
    "a row that the script has once.",
    "In 48 clean runs codes repeat in pauses only; of those that sound no stretch was half as long.",
    "take another seed, or draw less narrowly (temp_audio=0.8, topk_audio=50)",
)


def repeating(codes: np.ndarray, counts: np.ndarray, rate: float) -> list[tuple[int, int, int]]:
    """Stretches of rows that repeat, the longest first, none within another.

    Args:
        codes: [n, K].
        counts: [n] bool: rows that may count.
        rate: rows a second.

    Returns:
        For each its first row, the row after its last, and its period.
    """
    found: list[tuple[int, int, int]] = []
    least = max(2, round(LOOP_SECONDS * rate))
    for period in range(1, min(round(_LONGEST * rate), len(codes) // 2) + 1):
        same = ((codes[period:] == codes[:-period]).mean(axis=1) >= _ALIKE) & counts[period:] & counts[:-period]
        if np.count_nonzero(same) < max(least, period):  # mostly so, and looked at a hundred times a run
            continue
        found += [
            (first, last + period, period) for first, last in stretches(same) if last - first >= max(least, period)
        ]
    kept: list[tuple[int, int, int]] = []
    for first, last, period in sorted(found, key=lambda one: (one[0] - one[1], one[2])):
        if all(last <= other[0] or first >= other[1] for other in kept):
            kept.append((first, last, period))
    return sorted(kept)


def loops(
    codes: np.ndarray, counts: np.ndarray, first_call: int, rate: float, fix: str | None = None
) -> Iterator[Finding]:
    """Findings for those.

    Args:
        codes: [n, K] that the calls from `first_call` on drew.
        counts: [n] bool: the audio sounds there.
        first_call: of the rows.
        rate: calls a second.
        fix: what to do, if not what the kind says.
    """
    for first, last, period in repeating(codes, counts, rate):
        what = "the same codes" if period == 1 else f"the same {period} calls' codes over and over"
        text = f"{(last - first) / rate:.1f} s of sound have {what}."
        yield LOOP.found(text, first_call + first, first_call + last - 1, fix=fix)
