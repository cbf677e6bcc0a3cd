"""Rounds: everything that is compared is timed once in each, in an order that changes."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple, TypeVar

from gpu_figures import interval
from rich.console import Console
from rich.progress import track

Key = TypeVar("Key", bound=Hashable)


class Spread(NamedTuple):
    """A median, and the interval that holds it."""

    middle: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """For people."""
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f} … {self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Of one value for each round; see `interval`."""
    return Spread(median(values), *interval(values))


def in_rounds(works: Mapping[Key, Callable[[], float]], rounds: int, console: Console) -> dict[Key, list[float]]:
    """What each of `works` gives, round by round."""
    order, turn = random.Random(0), list(works)  # noqa: S311  # shuffles turns
    found: dict[Key, list[float]] = {key: [] for key in works}
    for _ in track(range(rounds), console=console, description="measuring"):
        order.shuffle(turn)
        for key in turn:
            found[key].append(works[key]())
    return found


def spelled(content: dict[str, Any]) -> dict[str, Any]:
    """The same for a file, where each spread has its names."""
    named = {}
    for name, value in content.items():
        if isinstance(value, Spread):
            value = value._asdict()
        elif isinstance(value, dict):
            value = spelled(value)
        named[name] = value
    return named
