"""How the key/value caches of a run fill, as a family tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A number per call."""

    name: str
    values: np.ndarray  # [calls]
    look: Literal["filled", "beside", "between", "small"]  # slots, what stands beside them, a difference, a small cache
    told: str = ""  # in a legend


@dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Caches:
    """All that is known of them."""

    panels: tuple[Panel, ...]  # the largest first
    told: str  # their lengths after the last call, in words
    given: str = ""  # what the calls that draw nothing are called
