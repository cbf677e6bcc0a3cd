"""How fast a model learns at each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """Learning rate: up linearly, then down half a cosine to `floor` of the peak."""

    steps: int
    peak: float
    warmup: int = 100  # steps
    floor: float = 0.03
    begin: int = 0  # the step from which on it falls, where it goes on from another schedule
    height: float = 0.0  # the rate there

    def rate(self, step: int) -> float:
        """The learning rate of `step`."""
        if self.begin:
            low = min(self.height, self.floor * self.peak)
            return low + (self.height - low) * _fall((step - self.begin) / max(1, self.steps - self.begin))
        decayed = self.floor + (1 - self.floor) * _fall(step / self.steps)
        return self.peak * min(1.0, (step + 1) / self.warmup) * decayed

    def after(self, before: Schedule, step: int) -> Schedule:
        """Go on with it at `step`, from `before`: the rate does not jump, but for what the peak has changed."""
        if step < before.warmup and not before.begin:
            return replace(self, warmup=before.warmup)
        return replace(self, begin=step, height=before.rate(step) * self.peak / before.peak)

    def asdict(self) -> dict[str, float]:
        """As a state keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Schedule:
        """As `asdict` gave it."""
        return cls(**found)


def _fall(share: float) -> float:
    """From 1 to 0 while `share` goes from 0 to 1, and 0 from there on."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))
