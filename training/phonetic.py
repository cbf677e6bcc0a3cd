"""Which phoneme sounds when: the labels that make the codec's first two codebooks phonetic.

A frame of 80 ms is two halves, and the corpus's phonemes begin with a half. So codebook 0 says the phoneme of a frame's
first half and codebook 1 that of its second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia2.common.errors import Dia2Error
from dia2.common.files import write_atomically
from training.corpus import FRAME_RATE, Recording
from training.vocoder import FRAME

Numbers = np.ndarray[Any, np.dtype[Any]]
HALVES = 2  # of a frame, each with a codebook of its own
SILENCE = "_"  # stands also for what is not known
_PAUSES = {SILENCE, "_:", "pau"}  # as synthesizers call it


@dataclass(frozen=True)
class Inventory:
    """The phonemes that a codec knows; a phoneme's code is its place among them, and code 0 is silence."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, recordings: Iterable[Recording]) -> Inventory:
        """All phonemes of the recordings."""
        return cls((SILENCE, *sorted({name for r in recordings for name, _ in r.phonemes} - _PAUSES)))

    @classmethod
    def read(cls, path: Path) -> Inventory:
        """The inventory that `write` wrote.

        Raises:
            Dia2Error: it cannot be read.
        """
        try:
            return cls(tuple(map(str, json.loads(path.read_text()))))
        except (OSError, ValueError, TypeError) as error:
            raise Dia2Error(f"{path} is no list of phonemes ({error}): train the encoder first.") from error

    def write(self, path: Path) -> None:
        """Keep it beside the codec, whose codes mean nothing without it."""
        write_atomically(path, (json.dumps(self.names) + "\n").encode())

    def labels(self, recording: Recording) -> Tensor:
        """The phoneme in the middle of each half frame, [2, frames] int64."""
        numbers = {name: i for i, name in enumerate(self.names)}
        starts = np.array([start for _, start in recording.phonemes])
        names = np.array([numbers.get(name, 0) for name, _ in recording.phonemes], np.int64)
        halves = len(recording.samples) // FRAME * HALVES
        middles = (np.arange(halves) + 0.5) / (FRAME_RATE * HALVES)
        return torch.from_numpy(latest(starts, names, middles)).view(-1, HALVES).T.contiguous()


def speakers(recording: Recording) -> Tensor:
    """Who spoke last when a frame begins, [frames] int64: 1, 2, or 0 before the first word."""
    said = [(s.start, s.speaker) for s in recording.spoken if s.speaker]
    starts = np.array([start for start, _ in said])
    who = np.array([speaker for _, speaker in said], np.int64)
    middles = (np.arange(len(recording.samples) // FRAME) + 0.5) / FRAME_RATE
    return torch.from_numpy(latest(starts, who, middles))


def latest(starts: Numbers, values: Numbers, times: Numbers) -> Numbers:
    """The value that began last at each of `times`; 0 before the first."""
    if not len(starts):
        return np.zeros(len(times), np.int64)
    at = np.searchsorted(starts, times, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], 0)


def accuracy(heard: Sequence[Tensor], labels: Sequence[Tensor]) -> float:
    """The share of half frames whose phoneme was heard; both lists hold [2, T]."""
    right = sum(int((a == b).sum()) for a, b in zip(heard, labels, strict=True))
    return right / max(1, sum(b.numel() for b in labels))
