"""What a step of `gpu.py` finds: figures with their spread, and claims with their margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Holds = Literal["well", "unclear", "fault"]
Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Figure:
    """A number that was measured.

    `rate`, `bytes_each` and `flops_each` say what it implies of the device, so that it can be held against what the
    device can do: so many times a second, at least so many bytes of its memory and so many operations.
    """

    name: str
    value: float
    unit: str
    low: float | None = None  # 95 % interval of the median; `None`: a single reading
    high: float | None = None
    samples: int = 1
    rate: float | None = None  # a second
    bytes_each: float = 0.0
    flops_each: float = 0.0
    numbers: str = "bfloat16"  # what the operations multiply

    @property
    def text(self) -> str:
        """The number, its interval and its unit."""
        said = shown(self.value, self.unit)
        if self.low is None or self.high is None:
            return said
        return f"{said} ({shown(self.low, self.unit)} … {shown(self.high, self.unit)}; {self.samples})"


@dataclass(frozen=True)
class Claim:
    """Something that is to hold, with the margin by which it does or does not."""

    what: str
    holds: Holds
    said: str


class Report:
    """What a step says, as it goes along: whoever listens has it even if the step never ends."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def figure(self, name: str, value: float, unit: str, **more: Any) -> None:
        """A number; `more` are fields of `Figure`."""
        self._tell("figure", asdict(Figure(name, float(value), unit, **more)))

    def rate(self, name: str, seconds: Sequence[float], unit: str, **more: Any) -> None:
        """How many a second, of the `seconds` that one took in each block."""
        low, high = interval(seconds)
        value = 1 / median(seconds)
        spread = {"low": 1 / high, "high": 1 / low, "samples": len(seconds), "rate": value}
        self.figure(name, value, unit, **(spread | more))

    def spread(self, name: str, values: Sequence[float], unit: str, **more: Any) -> None:
        """The median of `values`."""
        low, high = interval(values)
        self.figure(name, median(values), unit, low=low, high=high, samples=len(values), **more)

    def claim(self, what: str, holds: Holds | bool, said: str) -> None:
        """Something that is to hold."""
        state: Any = ("well" if holds else "fault") if isinstance(holds, bool) else holds
        self._tell("claim", asdict(Claim(what, state, said)))

    def faster(self, name: str, seconds: Sequence[float], other: str, others: Sequence[float]) -> None:
        """Claim that `name` takes less time than `other`; both took turns, so their blocks are pairs.

        It is a fault only where the whole interval says the contrary, and unclear where it holds 1.
        """
        ratios = [b / a for a, b in zip(seconds, others, strict=True)]
        low, high = interval(ratios)
        holds: Holds = "well" if low > 1 else "fault" if high < 1 else "unclear"
        said = f"{median(ratios):.2f} × as fast as {other} ({low:.2f} … {high:.2f}, {len(ratios)} pairs)"
        self.claim(f"{name} is faster than {other}", holds, said)

    def no_more_than(self, what: str, values: Sequence[float], most: float) -> None:
        """Claim that the median of `values` is at most `most`; unclear where the interval says both."""
        low, high = interval(values)
        holds: Holds = "well" if high <= most else "fault" if low > most else "unclear"
        spread = f" ({low:.3f} … {high:.3f}, {len(values)} samples)" if len(values) > 1 else ""
        self.claim(what, holds, f"{median(values):.3f}{spread}, {most - median(values):+.3f} of margin")

    def note(self, name: str, value: Any) -> None:
        """Something for the file that is no single number: a table, a list."""
        self._tell("note", {"name": name, "value": value})


def interval(values: Sequence[float], sure: float = 0.95) -> tuple[float, float]:
    """An interval that holds the median with this probability whatever the distribution: two of the sorted values.

    Of fewer than six values it is all of their range, which holds it less surely.
    """
    ordered, n = sorted(values), len(values)
    cut, below = 0, 0.5**n  # the chance that no more than `cut` values lie below the median
    while below <= (1 - sure) / 2 and cut < n // 2:
        cut += 1
        below += math.comb(n, cut) * 0.5**n
    cut = max(cut - 1, 0)
    return ordered[cut], ordered[n - 1 - cut]


def shown(value: float, unit: str = "") -> str:
    """Three digits that count, and the unit; of bytes and operations with the letter of their size."""
    if unit.startswith(("B", "FLOP")):
        for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if abs(value) >= size:
                return f"{value / size:.3g} {letter}{unit}"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
