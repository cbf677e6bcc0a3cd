"""What a lab lets people change of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

OWN = ("call", "seed")  # controls that every lab has


@dataclass(frozen=True)
class Knob:
    """One control: a slider from `least` to `most`, or a choice where there are `options`."""

    name: str
    label: str
    value: Any  # where it stands at first
    least: float = 0.0
    most: float = 0.0
    step: float = 0.0
    options: Sequence[tuple[str, Any]] = ()  # label and value


class Knobs(Protocol):
    """A family's knobs for one trace; made of the trace, the engine that is to go on from it, and directions."""

    first: int  # call from which a fork can be free
    seed: int  # of the run

    def knobs(self) -> list[Knob]:
        """In the order in which they are laid out."""

    def edits(self, call: int, values: Mapping[str, Any]) -> list[Any]:
        """What knobs that stand at `values` change from `call` on."""
