"""Clipping: where a signal was cut off, runs of samples stand at one flat top. A lone peak at full scale is none."""

from __future__ import annotations

import numpy as np

CELL = 0.01  # seconds; flat tops are told by the hundredth of a second in which they begin
_FLAT = 2  # steps between its samples: scaled later, it is dithered or rounded anew
_DROP = 14  # steps down, half a run's length beside it: a round peak falls by 4 · (_FLAT + 1) there, and one rounded


class FlatTops:
    """Collects them, block by block, of one channel; the highest and the lowest level count, each by itself."""

    def __init__(self, rate: int, step: float) -> None:
        """Args: `rate` in Hz; `step`, what neighbouring sample values differ by."""
        self._cell, self._step = CELL * rate, step
        self._seen = 0  # samples
        self._level = [0.0, 0.0]  # highest and lowest so far, without sign
        self._found: tuple[list[tuple[float, np.ndarray]], ...] = ([], [])  # level of a block, its cells

    def add(self, samples: np.ndarray) -> None:
        """The next samples [N] float32; a run over the edge of a block is not seen."""
        for side, values in enumerate((samples, -samples)):
            top = float(values.max(initial=0.0))
            if top <= 0 or top < self._level[side] - _FLAT * self._step:  # NaN is found neither
                continue
            self._level[side] = max(self._level[side], top)
            cells = np.unique((self._seen + _runs(values, top, self._step)) // self._cell).astype(np.int32)
            if len(cells):
                self._found[side].append((top, cells))
        self._seen += len(samples)

    def cells(self) -> np.ndarray:
        """The cells [n] in which a flat top begins, in order."""
        kept = [
            cells
            for level, found in zip(self._level, self._found, strict=True)
            for top, cells in found
            if top >= level - _FLAT * self._step
        ]
        return np.unique(np.concatenate([np.zeros(0, np.int32), *kept]))


def _runs(values: np.ndarray, top: float, step: float) -> np.ndarray:
    """Samples at which runs within _FLAT of `top` begin that end like a cut, not like a round peak."""
    flat = np.concatenate(([False], values >= top - _FLAT * step, [False]))
    starts, ends = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2).T
    half = (ends - starts - 1) // 2
    inside = (half > 0) & (starts >= half) & (ends - 1 + half < len(values))
    starts, ends, half = starts[inside], ends[inside], half[inside]
    beside = np.maximum(values[starts - half], values[ends - 1 + half])
    begun: np.ndarray = starts[beside <= top - _DROP * step]
    return begun
