"""The first step of `gpu.py`: which device this is, and what it can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_figures import Report
from gpu_limits import COPY
from torch import Tensor

from dia2.core.ambient import isolated

KERNELS = 1000  # small ones that wait for one another


def facts(device: str = "cuda") -> dict[str, Any]:
    """Name, sizes, versions."""
    if not torch.cuda.is_available():
        return {"available": False}
    found = torch.cuda.get_device_properties(device)
    return {
        "available": True,
        "name": torch.cuda.get_device_name(device),
        "capability": list(torch.cuda.get_device_capability(device)),
        "memory": getattr(found, "total_memory", 0),
        "cache": getattr(found, "L2_cache_size", 0),
        "processors": getattr(found, "multi_processor_count", 0),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def measure(report: Report, repeats: int = 12) -> None:
    """Memory, products and small kernels, each so many times; nothing more where there is no CUDA."""
    device = facts()
    report.note("device", device)
    if not device["available"]:
        return
    size = min(4 << 30, device["memory"] // 16)  # bytes that are copied
    rows = min(8192, 1 << int((device["memory"] / 2048) ** 0.5).bit_length() - 1)  # of square matrices
    _memory(report, size, repeats)
    with isolated():  # as a run has it: float32 without TF32, which would be told by a figure above float32's limit
        for numbers in ("bfloat16", "float32"):
            a, b = (torch.randn(rows, rows, device="cuda", dtype=getattr(torch, numbers)) for _ in range(2))
            seconds = timed(lambda a=a, b=b: a @ b, repeats)  # type: ignore[misc]  # a lambda's defaults
            flops = 2.0 * rows**3
            rates = [flops / value for value in seconds]
            report.spread(
                f"{numbers} product", rates, "FLOP/s", rate=max(rates) / flops, flops_each=flops, numbers=numbers
            )
    _small(report, repeats)


def _memory(report: Report, size: int, repeats: int) -> None:
    source = torch.randint(-9, 9, (size // 8,), device="cuda")
    target = torch.empty_like(source)
    moved = 2 * source.nbytes
    rates = [moved / value for value in timed(lambda: target.copy_(source), repeats)]
    best = max(rates)  # what floors are told by is what the memory can do, not what it did on the whole
    report.figure(COPY, best, "B/s", samples=len(rates), rate=best / moved, bytes_each=moved)
    rates = [source.nbytes / value for value in timed(lambda: source.sum(), repeats)]
    report.spread("read", rates, "B/s", rate=max(rates) / source.nbytes, bytes_each=source.nbytes)


def _small(report: Report, repeats: int) -> None:
    """What a small kernel costs that waits for the one before: launched, and in a graph."""
    value = torch.zeros(2, 2048, device="cuda")

    def chain() -> None:
        for _ in range(KERNELS):
            value.add_(1.0)

    launched = timed(chain, repeats)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.graph(graph, stream=stream):
        chain()
    replayed = timed(graph.replay, repeats)
    for name, seconds in (("launched", launched), ("in a graph", replayed)):
        report.spread(f"a small kernel, {name}", [1e6 * value / KERNELS for value in seconds], "µs")
    report.faster("a chain of small kernels in a graph", replayed, "launched", launched)


def timed(work: Callable[[], Tensor | None], repeats: int) -> list[float]:
    """Seconds of `work` each time, the device's included; after two times that do not count."""
    seconds = []
    for turn in range(repeats + 2):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if turn >= 2:
            seconds.append(time.perf_counter() - began)
    return seconds
