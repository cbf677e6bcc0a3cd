"""What a device can do at most, and figures that claim more: those are faults of the measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpu_figures import Figure, shown

# By torch's name without the maker's: bytes a second of memory, floating point operations a second of dense bfloat16
# products and of float32 (no TF32), as the makers' data sheets give them.
KNOWN: dict[str, tuple[float, float, float]] = {
    "H200": (4.8e12, 989e12, 67e12),
    "H100 80GB HBM3": (3.35e12, 989e12, 67e12),
    "H100 NVL": (3.9e12, 835e12, 60e12),
    "H100 PCIe": (2.0e12, 756e12, 51e12),
    "A100-SXM4-80GB": (2.039e12, 312e12, 19.5e12),
    "A100-SXM4-40GB": (1.555e12, 312e12, 19.5e12),
    "A100 80GB PCIe": (1.935e12, 312e12, 19.5e12),
    "L40S": (864e9, 362e12, 91.6e12),
    "L4": (300e9, 121e12, 30.3e12),
    "A10": (600e9, 125e12, 31.2e12),
    "A10G": (600e9, 125e12, 31.5e12),
    "RTX 3090": (936e9, 71e12, 35.6e12),
    "RTX 4080": (717e9, 97.5e12, 48.7e12),
    "RTX 4090": (1.008e12, 165.2e12, 82.6e12),
    "RTX 5090": (1.792e12, 209.5e12, 104.8e12),
}
CLOCKS = 1.1  # boost clocks above the data sheet's
BEYOND_COPY = 1.25  # a plain copy reaches four fifths of any memory's rate, at least
CACHED = 2  # what is smaller than so many times the L2 cache may come out of it


@dataclass(frozen=True)
class Limits:
    """Of one device; zero: not known."""

    bytes_a_second: float = 0.0
    flops: Mapping[str, float] = field(default_factory=dict)  # a second, by what is multiplied
    cache: int = 0  # bytes of L2
    source: str = "nothing"
    measured: float = 0.0  # bytes a second that a plain copy moved; what floors are told by

    def after(self, figure: Figure) -> Limits:
        """The same, and what `figure` adds where it is the copy's."""
        if figure.name != COPY:
            return self
        if self.bytes_a_second:
            return replace(self, measured=figure.value)
        return replace(
            self, measured=figure.value, bytes_a_second=BEYOND_COPY * figure.value, source=f"{BEYOND_COPY} × its copy"
        )

    def fault(self, figure: Figure) -> str | None:
        """What is impossible about a figure, in words; `None`: nothing."""
        if not figure.value < float("inf") or figure.value < 0:
            return f"{figure.name} is {figure.value}, which is no measurement"
        if figure.rate is None:
            return None
        moved, computed = figure.rate * figure.bytes_each, figure.rate * figure.flops_each
        if self.bytes_a_second and moved > self.bytes_a_second and figure.bytes_each > CACHED * self.cache:
            return (
                f"{figure.name}: {figure.text} would move {shown(moved, 'B/s')}, and this memory moves at most "
                f"{shown(self.bytes_a_second, 'B/s')} ({self.source})"
            )
        most = self.flops.get(figure.numbers, 0.0)
        if most and computed > most:
            return (
                f"{figure.name}: {figure.text} would be {shown(computed, 'FLOP/s')} of {figure.numbers}, and this "
                f"device does at most {shown(most, 'FLOP/s')} ({self.source})"
            )
        return None

    def share(self, figure: Figure) -> float | None:
        """How much of the floor a figure reaches: its bytes at the rate of a plain copy."""
        if figure.rate is None or not figure.bytes_each or not self.measured or figure.name == COPY:
            return None
        return figure.rate * figure.bytes_each / self.measured


COPY = "copy"  # the figure by which memory is known


def limits_of(facts: Mapping[str, Any]) -> Limits:
    """What is known of a device.

    Args:
        facts: its `name`, and `cache`, the bytes of its L2.
    """
    name = str(facts.get("name", "")).removeprefix("NVIDIA ").removeprefix("GeForce ")
    cache = int(facts.get("cache", 0))
    if name not in KNOWN:
        return Limits(cache=cache)
    memory, bfloat16, float32 = KNOWN[name]
    flops = {"bfloat16": CLOCKS * bfloat16, "float32": CLOCKS * float32}
    return Limits(memory, flops, cache, f"the data sheet of {name}")
