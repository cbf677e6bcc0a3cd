"""Steps of `gpu.py` that measure: frames a second, tracing, waits of the host, memory."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from safetensors.torch import save_file
from shapes import SCRIPT, bytes_read, mimi, open_run

from dia2 import Dia2, GenerationConfig
from dia2.audio.codec import Codec
from dia2.audio.streaming_decoder import AtOnce, Beside, StreamingDecoder
from dia2.common.hooks import observing
from dia2.inspect import Recorder
from dia2.inspect.record import recorder
from dia2.runtime import capture as buffers
from dia2.runtime import streaming
from dia2.runtime.graphs import CudaGraphs
from dia2.runtime.streaming import Stream
from dia2.runtime.weights import load_model

BLOCK = 20  # frames between two looks at the clock


class Run:
    """A main loop that is kept open, and begun anew when its context is used up."""

    def __init__(self, target: Any, *, graphs: bool, path: Path | None = None) -> None:
        self._target, self._path = target, path
        self._config = GenerationConfig(seed=1, use_cuda_graph=graphs)
        self._recorder: Recorder | None = None
        self._left = 0
        self._loop: Any = None

    def frames(self, count: int) -> float:
        """Seconds for `count` frames, the device's work included."""
        _wait(self._target.device)
        spent = 0.0
        for _ in range(count):
            if not self._left:
                self._begin()
            self._left -= 1
            began = time.perf_counter()
            next(self._loop)
            spent += time.perf_counter() - began
        began = time.perf_counter()
        _wait(self._target.device)
        return spent + time.perf_counter() - began

    def close(self) -> None:
        """End it; what comes after begins anew."""
        self._left = 0
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._recorder is not None:
            self._recorder.close("interrupted")
            self._recorder = None

    def _begin(self) -> None:
        self.close()
        if self._path is not None:
            self._recorder = Recorder(self._path)
        with observing(self._recorder):  # the loop looks for an observer once, when it begins
            self._loop = open_run(self._target, self._config)
            next(self._loop)
        self._left = self._target.config.runtime.max_context_steps - 1


class Heard:
    """A stream that is listened to, as `Run` is a loop."""

    def __init__(self, target: Any, kind: Callable[[Codec], StreamingDecoder]) -> None:
        self._target, self._kind = target, kind
        self._config = GenerationConfig(seed=1, use_cuda_graph=True)
        self._stream: Stream | None = None

    def frames(self, count: int) -> float:
        """Seconds until `count` pieces have been heard."""
        spent = 0.0
        for _ in range(count):
            if self._stream is None:
                self._begin()
            assert self._stream is not None, "begun"
            began = time.perf_counter()
            if next(self._stream, None) is None:
                self.close()
            spent += time.perf_counter() - began
        return spent

    def close(self) -> None:
        """End it; what comes after begins anew."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _begin(self) -> None:
        self._stream = Stream(self._target, [SCRIPT], self._config)
        with patch.object(streaming, "streaming_decoder", self._kind):  # asked for before the first piece
            next(self._stream)


def hearing(target: Any, frames: int) -> tuple[bool, str, dict[str, Any]]:
    """Pieces a second of a stream, decoded beside the run and between its frames, by a codec of Mimi's size."""
    target = replace(target, mimi=mimi(target.config.data.num_codebooks, str(target.device)))
    seconds = interleaved({"beside": Heard(target, Beside), "between": Heard(target, AtOnce)}, frames)
    rates = {name: float(1 / np.median(values)) for name, values in seconds.items()}
    said = f"{rates['beside']:.1f} pieces/s decoded beside the run, {rates['between']:.1f} between frames"
    return rates["beside"] >= rates["between"], said, rates


def interleaved(runs: Mapping[str, Run | Heard], frames: int) -> dict[str, np.ndarray]:
    """Seconds a frame of each run, block by block; they take turns in an order that changes."""
    order, names = random.Random(0), list(runs)  # noqa: S311  # shuffles turns
    try:
        for run in runs.values():
            run.frames(BLOCK)  # captures, and settles
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(max(1, frames // BLOCK)):
            order.shuffle(names)
            for name in names:
                seconds[name].append(runs[name].frames(BLOCK) / BLOCK)
    finally:
        for run in runs.values():
            run.close()
    return {name: np.array(values) for name, values in seconds.items()}


def speed(target: Any, frames: int, bandwidth: float) -> tuple[bool, str, dict[str, Any]]:
    """Frames a second, eager and with graphs, beside what reading the weights alone would take."""
    with target.computing():
        seconds = interleaved({"eager": Run(target, graphs=False), "graphs": Run(target, graphs=True)}, frames)
    facts = speeds(seconds, bytes_read(target.model), bandwidth)
    said = (
        f"{facts['graphs']:.1f} frames/s with graphs, {facts['eager']:.1f} eager; the weights once: "
        f"{facts['floor']:.0f} frames/s ({facts['share']:.0%} of it reached), as often as a frame takes them: "
        f"{facts['floor as used']:.0f}"
    )
    return facts["graphs"] >= facts["eager"], said, facts | {"dtype": str(target.dtype).removeprefix("torch.")}


def speeds(seconds: dict[str, np.ndarray], read: tuple[int, int], bandwidth: float) -> dict[str, float]:
    """Frames a second, and the floors.

    Args:
        seconds: a frame, block by block, of `eager` and `graphs`.
        read: bytes, see `bytes_read`.
        bandwidth: bytes a second.
    """
    rates = {name: float(1 / np.median(values)) for name, values in seconds.items()}
    floor, used = (bandwidth / count for count in read)
    return rates | {"floor": floor, "floor as used": used, "share": rates["graphs"] / floor}


def read_bandwidth(device: str, size: int = 2 << 30, repeats: int = 10) -> float:
    """Bytes a second that the device reads at best, summing up `size` bytes."""
    values = torch.ones(size // 4, device=device)
    best = float("inf")
    for _ in range(repeats):
        _wait(values.device)
        began = time.perf_counter()
        values.sum()
        _wait(values.device)
        best = min(best, time.perf_counter() - began)
    return size / best


def tracing(target: Any, frames: int, folder: Path) -> tuple[bool, str, dict[str, Any]]:
    """What level `topk` costs a run with graphs."""
    before = buffers.LATEST, recorder.SHARD_SECONDS
    buffers.LATEST, recorder.SHARD_SECONDS = 2 * before[0], 2 * before[1]  # these clocks run in the other's turn, too
    try:
        with target.computing():
            runs = {"off": Run(target, graphs=True), "topk": Run(target, graphs=True, path=folder / "run.dia2trace")}
            seconds = interleaved(runs, frames)
    finally:
        buffers.LATEST, recorder.SHARD_SECONDS = before
    off, topk = 1000 * seconds["off"], 1000 * seconds["topk"]
    facts = {"off, ms": float(off.mean()), "topk, ms": float(topk.mean()), "ratio": float(topk.mean() / off.mean())}
    facts["median ratio"] = float(np.median(topk / off))
    said = f"{facts['off, ms']:.2f} ms a frame, traced {facts['topk, ms']:.2f}: × {facts['ratio']:.3f}"
    return facts["median ratio"] < 1.1, said, facts


def waits(target: Any, frames: int) -> tuple[bool, str, dict[str, Any]]:
    """How often the host waits in a frame, by torch's own count; the action under graphs is waited for by an event."""
    found = {}
    with target.computing():
        for name in ("eager", "graphs"):
            run = Run(target, graphs=name == "graphs")
            run.frames(BLOCK)
            with sync_warnings() as seen:
                run.frames(frames)
            found[name] = len(seen) / frames
            run.close()
    said = f"{found['eager']:.2f} waits a frame eager, {found['graphs']:.2f} with graphs, beside the one for the event"
    return found["eager"] <= 1 and found["graphs"] == 0, said, found


@contextmanager
def sync_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """What torch says of operations that wait for the device."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        seen.clear()  # it warns of itself
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode("default")
            seen[:] = [one for one in seen if "synchroniz" in str(one.message)]


def allocations(target: Any, frames: int, stats: Callable[[], dict[str, int]]) -> tuple[bool, str, dict[str, Any]]:
    """What frames with graphs allocate once they are warm, and what a second run allocates and captures.

    Args:
        target: the checkpoint.
        frames: how many.
        stats: torch.cuda.memory_stats.
    """
    facts: dict[str, Any] = {}
    with target.computing(), counted_captures() as captured:
        run = Run(target, graphs=True)
        run.frames(BLOCK)
        before = stats()
        run.frames(frames)
        facts["frames"] = grown(before, stats())
        run.close()
        facts["captures of the first run"] = len(captured)
        captured.clear()
        before = stats()
        run.frames(BLOCK)
        facts["second run"] = grown(before, stats())
        run.close()
        facts["captures of the second run"] = len(captured)
    said = (
        f"{frames} frames: {facts['frames']['allocations']} allocations; a second run: "
        f"{facts['second run']['segments']} segments, {facts['second run']['bytes']:,} bytes that stay, "
        f"{len(captured)} captures"
    )
    fine = facts["frames"]["allocations"] == 0 and facts["second run"]["segments"] == 0 and not captured
    return fine and facts["second run"]["bytes"] <= 0, said, facts


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Differences of torch's counters: allocations made, bytes that stay, segments asked of the driver."""
    counters = {
        "allocations": "allocation.all.allocated",
        "bytes": "allocated_bytes.all.current",
        "segments": "segment.all.allocated",
    }
    return {name: after.get(counter, 0) - before.get(counter, 0) for name, counter in counters.items()}


@contextmanager
def counted_captures() -> Iterator[list[None]]:
    """One item for every capture."""
    captured: list[None] = []
    capture = CudaGraphs.capture

    def counted(backend: CudaGraphs, half: Any, reset: Any) -> Any:
        captured.append(None)
        return capture(backend, half, reset)

    CudaGraphs.capture = counted  # type: ignore[method-assign, assignment]  # put back below
    try:
        yield captured
    finally:
        CudaGraphs.capture = capture  # type: ignore[method-assign]  # likewise


def memory(target: Any, frames: int, folder: Path) -> tuple[bool, str, dict[str, Any]]:
    """Seconds to load weights from a file that the system has in memory, and what loading and a run take at most."""
    path, device = folder / "model.safetensors", target.device
    save_file({name: value.contiguous() for name, value in target.model.state_dict().items()}, path)
    with peak() as loading:
        began = time.perf_counter()
        load_model(target.config, path, device=device, dtype=target.dtype)
        _wait(device)
        seconds = time.perf_counter() - began
    facts: dict[str, Any] = {"seconds": seconds, "file": path.stat().st_size, "loading": loading[0]}
    path.unlink()
    fresh = replace(target)  # without what runs before have left
    with fresh.computing(), peak() as running:
        run = Run(fresh, graphs=True)
        run.frames(frames)
        run.close()
    facts |= {"weights": target.weight_bytes, "running": running[0]}
    gigabytes = {name: facts[name] / 1e9 for name in ("file", "loading", "weights", "running")}
    said = (
        f"{gigabytes['file']:.2f} GB loaded in {seconds:.1f} s, {gigabytes['loading']:.2f} GB at most; a run with "
        f"graphs takes {gigabytes['running']:.2f} GB on top of {gigabytes['weights']:.2f} GB of weights"
    )
    return facts["loading"] < 1.25 * facts["file"] + 1e8, said, facts


@contextmanager
def peak() -> Iterator[list[int]]:
    """One item, when the block is over: bytes of the device's memory that it took at most."""
    found: list[int] = []
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield found
    found.append(torch.cuda.max_memory_allocated() - before)


def second_generation(device: str, stats: Callable[[], dict[str, int]]) -> tuple[bool, str, dict[str, Any]]:
    """The same through `generate`, codec and all: another seed and script, after one of each."""
    tts = Dia2.nano(device=device)
    with counted_captures() as captured:
        tts.generate(SCRIPT[:200], seed=1, use_cuda_graph=True)
        before = stats()
        captured.clear()
        tts.generate(SCRIPT[:150], seed=2, use_cuda_graph=True)
        facts: dict[str, Any] = grown(before, stats()) | {"captures": len(captured)}
    said = f"{facts['captures']} captures, {facts['segments']} segments, {facts['bytes']:,} bytes that stay"
    return not captured and facts["segments"] == 0 and facts["bytes"] <= 0, said, facts


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
