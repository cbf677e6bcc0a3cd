"""The doctor for a bad voice clone: what really became of each prefix word, and what is wrong with the recordings.

A view of those of a trace's findings that are about its prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dia2.adapter.findings.recordings import recording_findings
from dia2.adapter.findings.words import word_findings
from dia2.adapter.prefix_words import PrefixWord, prefix_words
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.moved import names
from dia2.inspect.schema.finding import Finding

__getattr__ = names(
    __name__,
    {
        "PUSHED_FRAMES": "dia2.adapter.findings.words:PUSHED_FRAMES",
        "SPEAKER_1_OFFSET": "dia2.runtime.sounding:SPEAKER_1_OFFSET",
    },
)


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says."""

    __repr__ = brief_repr

    words: list[PrefixWord]
    findings: list[Finding]
    frames: int  # of the prefix; 0: there is none
    measured: bool  # the recordings' loudness is known


def diagnose(trace: Dia2Trace) -> Diagnosis:
    """Look at the prefix of a trace.

    Raises:
        TraceError: the prefix was redacted.
    """
    prefix = trace.prefix
    if prefix is None:
        return Diagnosis([], [], 0, measured=False)
    words = prefix_words(trace)
    found = [*word_findings(trace, words), *recording_findings(trace, words, trace.ear)]
    return Diagnosis(words, found, trace.run.prefix_frames, bool(np.isfinite(prefix.rms).all()))
