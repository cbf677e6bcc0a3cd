"""What `batch.py` measures: variants and the machine in turns, and the figures that come of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from batch_frames import alone, branches_of, opened, together
from machine import Memory, Squares
from rich.console import Console
from rich.progress import track
from rounds import Spread, in_rounds, spread
from shapes import bytes_read, operations

from dia2 import GenerationConfig
from dia2.runtime.context import RuntimeContext

WAYS = ("compiled", "eager")


class Variant(NamedTuple):
    """One way to make frames."""

    rows: int  # 0: a run alone
    way: str

    @property
    def name(self) -> str:
        """For people."""
        return ("alone" if not self.rows else f"{self.rows} row{'s'[: self.rows > 1]}") + f", {self.way}"


class Measurement:
    """All that takes turns, and what it gave, round by round."""

    def __init__(self, target: RuntimeContext, given: argparse.Namespace, ways: Sequence[str]) -> None:
        """Nothing is computed yet.

        Args:
            target: what speaks.
            given: the options of `batch.py`.
            ways: of `WAYS`, by which a run alone is computed; batches by those of them that are asked for.
        """
        self.target, self.given, self.ways = target, given, ways
        self.memory = Memory()
        self.weights = bytes_read(target.model)[1]
        self.operations = operations(target.model)  # of a lane
        self.squares = {dtype: Squares(dtype) for dtype in self.operations}
        self.variants = [Variant(0, way) for way in ways]  # first, so that no batch has a say in what is compiled
        self.variants += [Variant(rows, way) for rows in given.rows for way in given.ways if way in ways]
        self.found: dict[Any, list[float]] = {}

    def run(self, console: Console) -> None:
        """Settle, then measure."""
        frames, fill = self.given.frames, self.given.fill
        works: dict[Any, Callable[[], float]] = {v: partial(self._frames, v, fill, frames) for v in self.variants}
        works |= {dtype: squares.multiply for dtype, squares in self.squares.items()} | {"read": self.memory.read}
        with self.target.computing():
            with opened(self.target, self.config("eager"), rows=max(self.given.rows), fill=fill):
                pass  # whether there is memory for the most rows is known before anything is compiled
            for variant in track(self.variants, console=console, description="settling"):
                self._frames(variant, fill // 2, 1)  # compiled for one length alone, it would be faster than runs are
                self._frames(variant, fill, frames)
            self.found = in_rounds(works, self.given.rounds, console)

    def _frames(self, variant: Variant, fill: int, frames: int) -> float:
        config = self.config(variant.way)
        if not variant.rows:
            return alone(self.target, config, fill=fill, frames=frames)
        return together(self.target, config, rows=variant.rows, fill=fill, frames=frames)

    def config(self, way: str) -> GenerationConfig:
        """Of runs that are computed so."""
        return GenerationConfig(
            seed=0, cfg_scale=2.0 if self.given.guided else 1.0, use_torch_compile=way == "compiled"
        )

    def machine(self) -> dict[str, Any]:
        """What the machine can do."""
        peaks = {
            str(dtype).removeprefix("torch."): spread([squares.operations / s / 1e9 for s in self.found[dtype]])
            for dtype, squares in self.squares.items()
        }
        read = spread([self.memory.nbytes / s / 1e9 for s in self.found["read"]])
        return {"peak_gflops": peaks, "read_gb_a_second": read, "weight_bytes_a_frame": self.weights}

    def row(self, variant: Variant) -> dict[str, Any]:
        """A variant's figures."""
        seconds, together = self.found[variant], max(variant.rows, 1)
        lanes = together * branches_of(self.config(variant.way))
        caches = self.target.model.cache_bytes(branches=lanes, slots=self.given.fill)

        def share(least: Sequence[float]) -> Spread:
            return spread([a / b for a, b in zip(least, seconds, strict=True)])

        at_peak = [lanes * sum(times) for times in zip(*self._products(), strict=True)]
        reads = [s / self.memory.nbytes for s in self.found["read"]]  # seconds a byte
        rate = self.target.frame_rate
        return {
            "name": variant.name,
            "rows": variant.rows,
            "way": variant.way,
            "lanes": lanes,
            "cache_bytes": caches,
            "ms": spread([1000 * s for s in seconds]),
            "frames_a_second": spread([together / s for s in seconds]),
            "audio_seconds_a_second": spread([together / s / rate for s in seconds]),
            "of_peak": share(at_peak),
            "of_floor": share([s * self.weights for s in reads]),
            "of_floor_with_caches": share([s * (self.weights + caches) for s in reads]),
            "times_alone": {way: share([together * s for s in self.found[Variant(0, way)]]) for way in self.ways},
            "seconds": seconds,
        }

    def _products(self) -> list[list[float]]:
        """By dtype and round, the seconds that a lane's products would take at the peak."""
        return [
            [count / self.squares[dtype].operations * s for s in self.found[dtype]]
            for dtype, count in self.operations.items()
        ]
