"""Steps of `gpu.py` about what a run costs beside its time: waits of the host, allocations, tracing, loading."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from gpu_figures import Report
from gpu_runs import SETTLE, Run, checkpoint, in_turns, settled
from safetensors.torch import save_file
from shapes import SCRIPT

from dia2 import Dia2
from dia2.inspect.record import recorder
from dia2.runtime import capture as buffers
from dia2.runtime.context import RuntimeContext
from dia2.runtime.graphs import CudaGraphs
from dia2.runtime.weights import load_model

FRAMES = 20  # that are counted
GRAPHS: dict[str, Any] = {"use_cuda_graph": True}
TRACED = 1.1  # times a frame's time that one may take which is recorded


def counters(report: Report, shape: str, seconds: float) -> None:
    """Waits of the host, and allocations, of runs that are warm; `seconds` does not matter: they are counted."""
    target = checkpoint(shape, "bfloat16")
    waits(report, target)
    allocations(report, target, torch.cuda.memory_stats)
    second_generation(report, torch.cuda.memory_stats)


def waits(report: Report, target: RuntimeContext) -> None:
    """How often the host waits in a frame, by torch's own count; under graphs the action is waited for by an event."""
    found = {}
    with target.computing():
        for name, way in (("eager", {}), ("graphs", GRAPHS)):
            run = Run(target, **way)
            run.frames(SETTLE)
            with sync_warnings() as seen:
                run.frames(FRAMES)
            found[name] = len(seen) / FRAMES
            report.note(f"waits, {name}", sorted({str(one.message)[:200] for one in seen}))
            run.close()
            report.figure(f"waits a frame, {name}", found[name], "waits")
    report.claim("under graphs the host waits for the action's event alone", found["graphs"] == 0, f"{found['graphs']}")
    report.claim("eagerly the host waits once a frame", found["eager"] <= 1, f"{found['eager']:.2f} times")


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


def allocations(report: Report, target: RuntimeContext, stats: Callable[[], dict[str, int]]) -> None:
    """What frames with graphs allocate once they are warm, and what a second run allocates and captures.

    Args:
        report: where it is said.
        target: the checkpoint.
        stats: torch.cuda.memory_stats.
    """
    with target.computing(), counted_captures() as captured:
        run = Run(target, **GRAPHS)
        run.frames(SETTLE)
        before = stats()
        run.frames(FRAMES)
        frames = grown(before, stats())
        run.close()
        captured.clear()
        before = stats()
        run.frames(FRAMES)
        second = grown(before, stats())
        run.close()
    _counted(report, "a second run", second, len(captured))
    said = f"{frames['allocations']} in {FRAMES} frames"
    report.claim("frames of graphs allocate nothing", frames["allocations"] == 0, said)


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Differences of torch's counters: allocations made, bytes that stay, segments asked of the driver."""
    names = {
        "allocations": "allocation.all.allocated",
        "bytes": "allocated_bytes.all.current",
        "segments": "segment.all.allocated",
    }
    return {name: after.get(counter, 0) - before.get(counter, 0) for name, counter in names.items()}


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


def second_generation(report: Report, stats: Callable[[], dict[str, int]], device: str = "cuda") -> None:
    """The same through `generate`, codec and all: another seed and script, after one of each."""
    tts = Dia2.nano(device=device)
    with counted_captures() as captured:
        tts.generate(SCRIPT[:200], seed=1, use_cuda_graph=True)
        before = stats()
        captured.clear()
        tts.generate(SCRIPT[:150], seed=2, use_cuda_graph=True)
        found = grown(before, stats())
    _counted(report, "a second generate()", found, len(captured))


def _counted(report: Report, what: str, found: dict[str, int], captures: int) -> None:
    fine = not captures and found["segments"] == 0 and found["bytes"] <= 0
    said = f"{captures} captures, {found['segments']} segments, {found['bytes']:,} bytes more"
    report.claim(f"{what} captures nothing and keeps no more memory", fine, said)


def tracing(report: Report, shape: str, seconds: float) -> None:
    """What level `topk` costs a run with graphs."""
    target = checkpoint(shape, "bfloat16")
    before = buffers.LATEST, recorder.SHARD_SECONDS
    buffers.LATEST, recorder.SHARD_SECONDS = 2 * before[0], 2 * before[1]  # these clocks run in the other's turn, too
    try:
        with tempfile.TemporaryDirectory() as folder, target.computing():
            runs = {"not recorded": Run(target, **GRAPHS), "recorded": Run(target, Path(folder) / "run", **GRAPHS)}
            found = in_turns(runs, seconds)
    finally:
        buffers.LATEST, recorder.SHARD_SECONDS = before
    for name, values in found.items():
        report.rate(name, values, "frames/s")
    ratios = [traced / off for traced, off in zip(found["recorded"], found["not recorded"], strict=True)]
    report.no_more_than("a recorded frame's time is at most 1.1 × another's", ratios, TRACED)


def loading(report: Report, shape: str, seconds: float) -> None:
    """What loading a file of the checkpoint takes, of time and memory; `seconds` does not matter: it is done once."""
    target = checkpoint(shape, "bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({name: value.contiguous() for name, value in target.model.state_dict().items()}, path)
        size = path.stat().st_size
        with peak() as taken:
            began = time.perf_counter()
            load_model(target.config, path, device=target.device, dtype=target.dtype)
            settled(target.device)
            spent = time.perf_counter() - began
    report.figure("loading a file that the system has in memory", spent, "s")
    report.figure("loaded", size / spent, "B/s")
    report.no_more_than("loading takes at most 1.25 × the file", [(taken[0] - 1e8) / size], 1.25)
    fresh = replace(target)  # without what runs before have left
    with fresh.computing(), peak() as running:
        run = Run(fresh, **GRAPHS)
        run.frames(FRAMES)
        run.close()
    report.figure("a run with graphs, on top of its weights", running[0], "B")


@contextmanager
def peak() -> Iterator[list[int]]:
    """One item, when the block is over: bytes of the device's memory that it took at most."""
    found: list[int] = []
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield found
    found.append(torch.cuda.max_memory_allocated() - before)
