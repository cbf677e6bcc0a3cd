"""The chance in a run: a table of numbers that the seed alone decides."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def uniforms(seed: int, calls: int, channels: int) -> Tensor:
    """The draws of a run: [calls, channels] float32, strictly between 0 and 1.

    Counter-based (Philox 4×64, Salmon et al. 2011): a longer table begins with the shorter one, and NumPy
    keeps the raw stream of a bit generator stable between versions.
    """
    raw = np.random.Philox(key=seed).random_raw(calls * channels)
    # 23 bits and a half: the largest value times any float32 total stays below the total.
    values = ((raw >> np.uint64(41)).astype(np.float64) + 0.5) / 2.0**23
    return torch.from_numpy(values.astype(np.float32)).view(calls, channels)
