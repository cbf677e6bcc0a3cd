"""Shares with their 95 % intervals, scripts drawn with replacement: the runs of one script are alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dia2.analysis.intervals import by_runs


class Share(NamedTuple):
    """Of a whole, or a difference of two shares."""

    mean: float
    low: float
    high: float

    def text(self, *, signed: bool = False) -> str:
        """In percent, for people."""
        one = "{:+.0f}" if signed else "{:.0f}"
        return f"{one} ({one} … {one})".format(*(100 * part for part in self))


def share(parts: np.ndarray, wholes: np.ndarray) -> Share:
    """All `parts` [scripts] of all `wholes` [scripts], which may be 0."""
    low, high = by_runs(parts, wholes, seed=0)
    return Share(float(parts.sum() / max(wholes.sum(), 1)), float(low), float(high))


def words_heard(told: np.ndarray) -> Share:
    """Of runs [scripts, seeds, 4], see `Told`."""
    heard, words = told.sum(axis=1)[:, :2].T
    return share(heard, words)


def in_second(told: np.ndarray) -> Share:
    """The share of voiced frames in the second voice, of runs [scripts, seeds, 4]."""
    second, voiced = told.sum(axis=1)[:, 2:].T
    return share(second, voiced)


def more_words(told: np.ndarray, than: np.ndarray) -> Share:
    """How many more of the same words are heard in runs [scripts, seeds, 4] than in others of the same scripts."""
    heard, words = told.sum(axis=1)[:, :2].T
    return share(heard - than.sum(axis=1)[:, 0], words)
