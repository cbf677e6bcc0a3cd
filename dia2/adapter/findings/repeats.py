"""Codes of a run of Dia2 that repeat while they sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.adapter.findings.made import made_sound
from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.findings import Case, Detector
from dia2.inspect.trace.loops import LOOP, loops

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    sound = None if "voice" in trace.redacted else made_sound(trace)
    if sound is None:
        return
    warmup, delay = trace.warmup_calls, trace.model.delays[0]
    frames = trace.steps[warmup:] + 1 - delay - trace.crop  # of codebook 0's code that each call draws
    loud = sound.levels.sounding
    counts = (frames >= 0) & (frames < len(loud)) & loud[np.clip(frames, 0, len(loud) - 1)]
    yield from loops(trace.codes[warmup:], counts, warmup, sound.rate)


DETECTORS = (Detector((LOOP,), _look),)
