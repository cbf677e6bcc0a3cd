"""Codes of a run of Dia2 that repeat while they sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.adapter.findings.made import made_sound
from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.levels import Levels
from dia2.inspect.trace.loops import LOOP, loops

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def sounding_calls(trace: Dia2Trace, levels: Levels) -> np.ndarray:
    """[n] bool: which calls of the main loop draw codes that sound; `levels` are those of the audio."""
    frames = trace.steps[trace.warmup_calls :] + 1 - trace.model.delays[0] - trace.crop  # of codebook 0's code
    loud = levels.sounding
    counts: np.ndarray = (frames >= 0) & (frames < len(loud)) & loud[np.clip(frames, 0, len(loud) - 1)]
    return counts


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    sound = None if "voice" in trace.redacted else made_sound(trace)
    if sound is None:
        return
    warmup = trace.warmup_calls
    yield from loops(trace.codes[warmup:], sounding_calls(trace, sound.levels), warmup, sound.rate)


DETECTORS = (Detector((LOOP,), _look),)
