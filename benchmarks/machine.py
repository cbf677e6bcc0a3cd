"""What this machine does at most, with the threads that are in use: how fast it reads memory, and multiplies."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F

READ = 1 << 29  # bytes: more than any cache holds
SIDE = 2048  # of the matrices that are multiplied: large enough for sums to hide all reading
_TRIES = 3  # of which the fastest counts: what could be reached is asked for


class Memory:
    """A large tensor, to be read."""

    def __init__(self) -> None:
        self._ground = torch.ones(READ // 4)

    @property
    def nbytes(self) -> int:
        """How much is read."""
        return self._ground.nbytes

    def read(self) -> float:
        """Seconds for reading all of it."""
        began = time.perf_counter()
        self._ground.sum()
        return time.perf_counter() - began


class Squares:
    """Two large square matrices, to be multiplied."""

    def __init__(self, dtype: torch.dtype) -> None:
        draw = torch.Generator().manual_seed(0)
        self._both = [torch.randn(SIDE, SIDE, generator=draw).to(dtype) for _ in range(2)]

    @property
    def operations(self) -> float:
        """Of a product."""
        return 2.0 * len(self._both[0]) ** 3

    def multiply(self) -> float:
        """Seconds for a product: the fastest of some."""
        found = []
        for _ in range(_TRIES):
            began = time.perf_counter()
            F.linear(*self._both)
            found.append(time.perf_counter() - began)
        return min(found)
