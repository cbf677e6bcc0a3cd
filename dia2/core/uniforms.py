"""The chance in a run: a table of numbers that the seed alone decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # looking at a trace needs none
    from torch import Tensor


def uniform_table(seed: int, calls: int, channels: int) -> np.ndarray:
    """The draws of a run: [calls, channels] float32, strictly between 0 and 1.

    Counter-based (Philox 4×64, Salmon et al. 2011): a longer table begins with the shorter one, and NumPy
    keeps the raw stream of a bit generator stable between versions.
    """
    raw = np.random.Philox(key=seed).random_raw(calls * channels)
    # 23 bits and a half: the largest value times any float32 total stays below the total.
    values = ((raw >> np.uint64(41)).astype(np.float64) + 0.5) / 2.0**23
    table: np.ndarray = values.astype(np.float32).reshape(calls, channels)
    return table


def uniforms(seed: int, calls: int, channels: int) -> Tensor:
    """See `uniform_table`."""
    import torch

    return torch.from_numpy(uniform_table(seed, calls, channels))
