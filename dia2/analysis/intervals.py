"""How sure a mean over runs is: calls of one run are alike, so whole runs are drawn with replacement."""

from __future__ import annotations

import numpy as np

_DRAWS = 1000


def by_runs(sums: np.ndarray, counts: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A 95 % interval [...] of all `sums` [runs, …] divided by all `counts` [runs]: its lower and its upper end."""
    chosen = np.random.default_rng(seed).integers(0, len(counts), (_DRAWS, len(counts)))
    times = np.stack([np.bincount(draw, minlength=len(counts)) for draw in chosen])  # [draws, runs]
    means = np.tensordot(times, sums, 1) / _no_zero(times @ counts).reshape(-1, *(1,) * (sums.ndim - 1))
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return low, high


def _no_zero(values: np.ndarray) -> np.ndarray:
    """What may be divided by: a draw of runs without any call has no mean, and counts as 0."""
    return np.where(values == 0, 1.0, values)
