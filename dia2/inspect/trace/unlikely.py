"""Draws that were unlikely: how many bits each call's cost, and where that stands out of its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.inspect.schema.draw import book_of
from dia2.inspect.schema.finding import Finding, FindingKind
from dia2.inspect.trace.stretches import stretches

if TYPE_CHECKING:
    from dia2.inspect.trace.data import TraceData

_WINDOW = 8  # calls
_ABOVE = 6.0  # times the run's own spread
_LEAST = 1.0  # bits above the run's own level
_NEVER = 2.0**-20  # a chance for what had none, as something forced
_FEWEST = 40  # calls whose spread means something

SURPRISE = FindingKind(
    "surprise",
    "note",
    f"The mean of −log₂ p over all codes of {_WINDOW} calls in a row lies above the run's median by {_ABOVE:g} times "
    f"the median distance from it, and by {_LEAST:g} bit at least.",
    "A hint where to listen and never a verdict: of 408 words that Whisper heard or misheard, surprise told which with "
    "an area under the curve of .57 to .72 only. The window is two thirds of a second: a word and more.",
    "listen there, and look at the candidates",
)


def surprise_of(trace: TraceData[Any], script: int = 0) -> tuple[np.ndarray, list[str]]:
    """Bits that each draw cost: −log₂ of its chance.

    Returns:
        [calls, D] float64, NaN where nothing was drawn or kept, and the names of the D draws.
    """
    names = trace.manifest.draws
    bits = np.full((len(trace), len(names)), np.nan)
    at = 0
    for stored, taken in trace.draw_parts(script) if names else ():
        if "draw.probability" in stored:
            bits[at : at + len(taken)] = -np.log2(np.maximum(stored["draw.probability"], _NEVER))
        at += len(taken)
    bits[: trace.given_calls] = np.nan
    return bits, names


def bits_of_codes(trace: TraceData[Any], script: int) -> np.ndarray:
    """[calls] float64: the mean bits of a call's codes; NaN where there are none, or their chances were not kept."""
    return mean_of_codes(*surprise_of(trace, script))


def mean_of_codes(bits: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The same from what `surprise_of` gave."""
    own = bits[:, [i for i, name in enumerate(names) if book_of(name) is not None]]
    found = np.full(len(bits), np.nan)
    there = np.isfinite(own).any(axis=1) if own.size else np.zeros(len(bits), bool)
    found[there] = np.nanmean(own[there], axis=1)
    return found


def unlikely(trace: TraceData[Any], script: int = 0) -> Iterator[Finding]:
    """Stretches of calls whose codes were far less likely than the run's others."""
    bits = bits_of_codes(trace, script)
    calls = np.flatnonzero(np.isfinite(bits))
    if len(calls) < _FEWEST:
        return
    means = np.convolve(bits[calls], np.ones(_WINDOW) / _WINDOW, "valid")
    level = float(np.median(means))
    spread = float(np.median(np.abs(means - level)))
    for start, end in stretches(means - level > max(_LEAST, _ABOVE * spread)):
        own = calls[start : end + _WINDOW - 1]
        own = own[bits[own] - level > _LEAST]  # a window reaches beyond what makes it high
        first, last = int(own[0]), int(own[-1])
        mean = float(np.nanmean(bits[first : last + 1]))
        text = f"The codes of calls {first} … {last} were unlikely: {mean:.1f} bits each, where {level:.1f} are usual."
        yield SURPRISE.found(text, first, last)


def least_likely(trace: TraceData[Any], script: int = 0) -> int | None:
    """The call whose codes cost most bits; `None` where no chances were kept."""
    bits = bits_of_codes(trace, script) if len(trace) else np.zeros(0)
    return int(np.nanargmax(bits)) if np.isfinite(bits).any() else None
