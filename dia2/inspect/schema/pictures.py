"""What families give plots to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class TrackCell:
    """What one call did in one track."""

    call: int
    track: str
    kind: str  # of those that `plots.streams` knows: new_word, pad, S1 …
    word: str | None = None  # that its token is a part of
    number: int = 0  # of that part, from 1


@dataclass(frozen=True)
class Tracks:
    """Some calls, track by track."""

    cells: list[TrackCell]
    told: str  # what became of them, in numbers


@dataclass(frozen=True)
class PlacedWord:
    """A word that was taken, and where it is in the cache."""

    text: str
    speaker: int
    step: int  # at which it was taken
    slots: list[int]  # of its tokens


@dataclass(frozen=True)
class HeadPicture:
    """Where one head looks."""

    weights: np.ndarray  # [calls, slots]
    words: list[PlacedWord]
    spoken: list[list[int]]  # [calls] slots of the word that is being spoken


class Attention(Protocol):
    """A family's attention, made of a trace and of the engine or the replay that has it."""

    calls: tuple[int | None, int | None]  # first and last one that it has; `None`: all of the trace

    def head(self, layer: int, head: int, first: int, last: int) -> HeadPicture:
        """One head, calls `first` … `last`.

        Raises:
            UsageError: there is no such layer or head, or it lacks one of the calls.
        """
