"""Where in the script each call of a trace is, as edits of activations ask."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from dia2.runtime.after import Before
from dia2.runtime.written import Moment

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def moments_of(trace: Dia2Trace, calls: int) -> list[Moment]:
    """Of the first so many calls: the last word that the machine had taken, and what the call before had."""
    entries = trace.run.entries
    speakers = [entry.speaker for entry in entries if entry.tokens]
    begun = [0, *accumulate(bool(entry.tokens) for entry in entries)]  # words among the first so many entries
    consumed = trace.column("consumed")[:calls].astype(np.int64)
    moments = []
    before: Before | None = None
    for call, taken in enumerate((consumed.cumsum() - consumed).tolist()):
        word = begun[taken] - 1
        moments.append(Moment(call, before=before) if word < 0 else Moment(call, word, speakers[word], before))
        before = Before.of(trace.machine_at(call), trace.model.tokens)
    return moments
