"""What follows each other without a gap, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def stretches(there: np.ndarray) -> list[tuple[int, int]]:
    """Where [n] bool is true: of each stretch its first place, and the one after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0])))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def in_a_row(items: Sequence[Item], follows: Callable[[Item, Item], bool]) -> list[list[Item]]:
    """Items that follow each other, together: of two neighbours `follows` says whether they do."""
    found: list[list[Item]] = []
    for item in items:
        if found and follows(found[-1][-1], item):
            found[-1].append(item)
        else:
            found.append([item])
    return found
