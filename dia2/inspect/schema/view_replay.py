"""What the explorer shows of a replay: where some calls look, and all logits of their draws.

A family makes a `Replayed` of its own replay; how much of it a page has room for, and how finely its numbers travel, is
told by `dia2.inspect.views.explorer.replayed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

MOST_LABEL = 12  # characters


@dataclass(frozen=True)
class Looks:
    """Where the heads of a stack look in one of its memories, in the conditional branch."""

    label: str  # what they look at: `past calls`
    over: Literal["calls", "text"]  # a place of the memory is a call, up to the own one, or a position of a text
    weights: Sequence[np.ndarray]  # per layer [n, heads, places] float32; those of a head sum to 1
    labels: Sequence[str] = ()  # of the places of a text


@dataclass(frozen=True)
class Replayed:
    """A replay of n calls of one script."""

    calls: Sequence[int]  # [n]
    looks: Sequence[Looks]  # none, where the replay was made without attention
    logits: Sequence[np.ndarray]  # of each draw of the view [n, V] float32, conditional; NaN where it is not drawn


def as_bytes(weights: np.ndarray) -> np.ndarray:
    """Weights w in 0 … 1 as uint8: the nearest of (q / 255)², at most √w / 255 + 1 / 260,100 from w."""
    found: np.ndarray = np.round(255 * np.sqrt(np.clip(weights, 0, 1))).astype(np.uint8)
    return found
