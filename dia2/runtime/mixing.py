"""A sound file's channels made one: their mean, or the loudest of them where they cancel each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from dia2.runtime.flat_tops import FlatTops
from dia2.runtime.sound_source import Source

_BLOCK = 1 << 18  # values read at a time, so that a file of many channels is never whole in memory
_CANCELLED = 0.1  # of the power that unrelated channels leave; only channels of about opposite phase stay below
_EQUAL = 1.001  # powers less apart than this are equal


@dataclass(frozen=True)
class Mix:
    """One channel."""

    samples: np.ndarray  # [N] float32
    channel: int | None  # which one it is, from 0; `None`: the mean of all
    clipped: np.ndarray  # [n] cells of `FlatTops` in which it is clipped, in any of its channels


def mixed(opened: Callable[[], AbstractContextManager[Source]], seconds: float) -> tuple[Mix, Source]:
    """Read a file's channels as one: the mean, but where channels of opposite phase cancel, the loudest of them.

    Args:
        opened: opens the file at its beginning, a second time for a single channel.
        seconds: more than that is not read, but for the rest of a block.
    """
    with opened() as source:
        tops = [FlatTops(source.rate, source.step) for _ in range(source.channels)]
        power, parts = _Power(source.channels), []
        for block in _blocks(source, seconds):
            with np.errstate(invalid="ignore"):  # opposite infinities, for the caller to refuse
                mean = block.mean(axis=1, dtype=np.float64)
            power.add(block, mean)
            parts.append(mean.astype(np.float32))
            for top, values in zip(tops, block.T, strict=True):
                top.add(values)
    channel = power.loudest() if power.cancelled() else None
    if channel is not None:
        tops = [tops[channel]]
        with opened() as source:
            parts = [np.ascontiguousarray(block[:, channel]) for block in _blocks(source, seconds)]
    samples = np.concatenate([np.zeros(0, np.float32), *parts])
    return Mix(samples, channel, np.unique(np.concatenate([top.cells() for top in tops]))), source


def _blocks(source: Source, seconds: float) -> Iterator[np.ndarray]:
    """[n, C] float32 each."""
    left = seconds * source.rate
    count = max(1, _BLOCK // source.channels)
    while left >= 0 and len(block := source.read(count)):
        left -= len(block)
        yield block


class _Power:
    """Of each channel and of their mean, a constant offset left out."""

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._sums = np.zeros((2, channels + 1))  # of values and of their squares; the mean's stand last

    def add(self, block: np.ndarray, mean: np.ndarray) -> None:
        values = np.concatenate((block, mean[:, None]), axis=1, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            self._sums += values.sum(axis=0), np.square(values).sum(axis=0)
        self._count += len(block)

    def _powers(self) -> np.ndarray:
        sums, squares = self._sums / max(1, self._count)
        with np.errstate(invalid="ignore"):
            powers: np.ndarray = squares - sums**2  # [C + 1]
        return powers

    def cancelled(self) -> bool:
        """The mean has far less power than the same channels would leave if they had nothing to do with each other."""
        *channels, mean = self._powers()
        return bool(mean < _CANCELLED * sum(channels) / len(channels) ** 2)

    def loudest(self) -> int:
        """The channel of the most power, the first of equals."""
        channels = self._powers()[:-1]
        return int(np.argmax(channels * _EQUAL >= channels.max()))
