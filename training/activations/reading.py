"""What can be read from each layer on scripts that no probe has seen, beside what can be read without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dia2 import Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.analysis import Labels, labels_of, probe

Where = Callable[[Labels], np.ndarray]


def _labels(trace: Dia2Trace) -> Labels:
    """Those of every run, and whether a frame is the first of a word."""
    own = labels_of(trace)
    return labels_of(trace, given={"first frame of a word": np.where(own.position < 0, -1, own.position == 0)})


def _turned(labels: Labels) -> np.ndarray:
    """Calls that draw the first frame after a change of speaker: there, no frame before has told who speaks."""
    first = [word.first for before, word in pairwise(labels.words) if word.speaker != before.speaker]
    return np.isin(np.arange(len(labels.word)), first)


TARGETS: dict[str, tuple[str, Where | None]] = {  # by name: a label, and calls that count; `None`: all that have it
    "speaker": ("speaker", None),
    "speaker, first frame after a change": ("speaker", _turned),
    "first frame of a word": ("first frame of a word", None),
    "silent": ("silent", None),
    "voiced": ("voiced", None),
    "loudness": ("loudness", None),
}


def reading(
    name: str, train: Sequence[Dia2Trace], test: Sequence[Dia2Trace], tts: Dia2, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Probe one of `TARGETS`: figures, as JSON has them."""
    target, where = TARGETS[name]
    found = probe(target, train, test, tts, labels=_labels, where=where, untrained=True, progress=progress)
    return {
        "target": name,
        "measure": found.measure,
        "classes": len(found.classes),
        "points": found.points,
        "score": found.score.tolist(),
        "low": found.low.tolist(),
        "high": found.high.tolist(),
        "shuffled": found.shuffled.tolist(),
        "untrained": found.untrained.tolist(),
        "majority": found.majority,
        "calls": list(found.calls),
        "runs": list(found.runs),
    }
