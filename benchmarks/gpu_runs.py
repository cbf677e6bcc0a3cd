"""Runs that are kept open while they are measured in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import gpu_warm  # noqa: F401  # loads what loading takes, while the step before is still at work
import torch
from shapes import SCRIPT, mimi, open_run, packed, runtime

from dia2 import GenerationConfig
from dia2.audio.codec import Codec
from dia2.audio.streaming_decoder import StreamingDecoder
from dia2.common.hooks import observing
from dia2.inspect import Recorder
from dia2.runtime import streaming
from dia2.runtime.context import RuntimeContext
from dia2.runtime.streaming import Stream

DEVICE = "cuda"
SETTLE = 6  # frames that do not count: captures, and what libraries do at first
LEAST, MOST = 6, 60  # blocks: with six an interval of the median means something
BLOCK = 0.12  # seconds between two looks at the clock


class Paced(Protocol):
    """What makes frames one after the other."""

    def frames(self, count: int) -> float:
        """Seconds for `count` frames, the device's work included."""

    def close(self) -> None:
        """End it; what comes after begins anew."""


def checkpoint(shape: str, precision: str, device: str = DEVICE) -> RuntimeContext:
    """Random weights at a shape: `float32`, `bfloat16`, or `int8`, which is computed with in bfloat16."""
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    target = runtime(shape, dtype, device)
    return packed(target) if precision == "int8" else target


class Kept:
    """A run that is kept open, and begun anew when it has no frames left."""

    device: torch.device
    left: int = 0  # frames until it is begun anew

    def begin(self) -> None:
        """Begin anew, and make the first frame."""
        raise NotImplementedError

    def step(self) -> None:
        """Make one frame more."""
        raise NotImplementedError

    def frames(self, count: int) -> float:
        """See `Paced`; to begin anew does not count."""
        settled(self.device)
        spent = 0.0
        for _ in range(count):
            if not self.left:
                self.begin()
            self.left -= 1
            began = time.perf_counter()
            self.step()
            spent += time.perf_counter() - began
        began = time.perf_counter()
        settled(self.device)
        return spent + time.perf_counter() - began


class Run(Kept):
    """A main loop."""

    def __init__(self, target: RuntimeContext, path: Path | None = None, **config: Any) -> None:
        """Nothing is computed yet.

        Args:
            target: what speaks.
            path: of a trace to record.
            config: fields of a `GenerationConfig`.
        """
        self._target, self._path, self.device = target, path, target.device
        self._config = GenerationConfig(**({"seed": 1} | config))
        self._recorder: Recorder | None = None
        self._loop: Any = None

    def step(self) -> None:
        """See `Kept`."""
        next(self._loop)

    def close(self) -> None:
        """See `Paced`."""
        self.left = 0
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._recorder is not None:
            self._recorder.close("interrupted")
            self._recorder = None

    def begin(self) -> None:
        """Begin anew, and make the first frame."""
        self.close()
        if self._path is not None:
            self._recorder = Recorder(self._path)
        with observing(self._recorder):  # the loop looks for an observer once, when it begins
            self._loop = open_run(self._target, self._config)
            next(self._loop)
        self.left = self._target.config.runtime.max_context_steps - 1


class Heard:
    """A stream that is listened to, as `Run` is a loop."""

    def __init__(self, target: RuntimeContext, kind: Callable[[Codec], StreamingDecoder]) -> None:
        self._target, self._kind = target, kind
        self._config = GenerationConfig(seed=1, use_cuda_graph=True)
        self._stream: Stream | None = None

    def frames(self, count: int) -> float:
        """Seconds until `count` pieces have been heard."""
        spent = 0.0
        for _ in range(count):
            if self._stream is None:
                self.begin()
            assert self._stream is not None, "begun"
            began = time.perf_counter()
            if next(self._stream, None) is None:
                self.close()
            spent += time.perf_counter() - began
        return spent

    def close(self) -> None:
        """See `Paced`."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def begin(self) -> float:
        """Begin anew; returns the seconds until the first piece is heard."""
        self.close()
        settled(self._target.device)
        began = time.perf_counter()
        self._stream = Stream(self._target, [SCRIPT], self._config)
        with patch.object(streaming, "streaming_decoder", self._kind):  # asked for before the first piece
            next(self._stream)
        return time.perf_counter() - began


def with_codec(target: RuntimeContext) -> RuntimeContext:
    """The same, and a codec of Mimi's size."""
    return replace(target, mimi=mimi(target.config.data.num_codebooks, str(target.device)))


def first_frame(target: RuntimeContext, **config: Any) -> float:
    """Seconds from a script to its first frame; the run is closed again."""
    run = Run(target, **config)
    settled(target.device)
    began = time.perf_counter()
    with target.computing():
        run.begin()
        settled(target.device)
    seconds = time.perf_counter() - began
    run.close()
    return seconds


def in_turns(runs: Mapping[str, Paced], seconds: float) -> dict[str, list[float]]:
    """Seconds a frame of each run, block by block; they take turns in an order that changes.

    Args:
        runs: by name.
        seconds: for each, about; settling comes on top.
    """
    order, names = random.Random(0), list(runs)  # noqa: S311  # shuffles turns
    try:
        frames: dict[str, int] = {}
        for name, run in runs.items():
            run.frames(SETTLE)
            frames[name] = max(1, min(50, round(BLOCK * SETTLE / run.frames(SETTLE))))
        found: dict[str, list[float]] = {name: [] for name in names}
        end = time.perf_counter() + seconds * len(names)
        for block in range(MOST):
            if block >= LEAST and time.perf_counter() >= end:
                break
            order.shuffle(names)
            for name in names:
                found[name].append(runs[name].frames(frames[name]) / frames[name])
    finally:
        for run in runs.values():
            run.close()
    return found


def settled(device: torch.device) -> None:
    """Wait for all that the device was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
