"""The delayed grid of codes: codebook k of frame t lies in column t + delays[k]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def delayed(aligned: np.ndarray, delays: Sequence[int], pad: int) -> np.ndarray:
    """Codebook k of `aligned` [K, T] moved right by `delays[k]`; `pad` fills the rest of [K, T + max(delays)]."""
    codebooks, frames = aligned.shape
    grid = np.full((codebooks, frames + max(delays)), pad, dtype=aligned.dtype)
    for k, delay in enumerate(delays):
        grid[k, delay : delay + frames] = aligned[k]
    return grid


def undelayed(grid: np.ndarray, delays: Sequence[int]) -> np.ndarray:
    """Exact inverse of `delayed`: [K, columns] → [K, columns − max(delays)], empty if there are too few."""
    frames = max(0, grid.shape[1] - max(delays))
    return np.stack([grid[k, delay : delay + frames] for k, delay in enumerate(delays)])
