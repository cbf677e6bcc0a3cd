"""The steps of `gpu.py` that count kernels, by torch's profiler: how many a frame has, which, and what lies between."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from gpu_figures import Report
from gpu_runs import SETTLE, Paced, Run, checkpoint
from shapes import bytes_read
from torch.profiler import ProfilerActivity, profile, record_function

from dia2.runtime import graphs

FRAMES = {"graphs": 8, "eager": 2}  # that are profiled; eagerly each has ten thousands of the host's events
TOP = 12  # names that are told
OUTSIDE = "outside"  # of both halves: what the host sends between them
_WORK = {"kernel": True, "gpu_memcpy": False, "gpu_memset": False}  # categories of a trace: whether it is a kernel
_LAUNCHES = ("cuda_runtime", "cuda_driver")


@dataclass(frozen=True)
class Work:
    """Something that the device did."""

    name: str
    part: str  # of a frame, by the label around its launch
    start: float  # µs
    microseconds: float
    kernel: bool = True  # else a copy or a fill by the copy engine

    @property
    def end(self) -> float:
        """µs."""
        return self.start + self.microseconds


def measure(report: Report, shape: str, precision: str) -> None:
    """Frames of Dia2, eager and with graphs, by halves."""
    target = checkpoint(shape, precision)
    once, _ = bytes_read(target.model)
    for way, config in (("graphs", {"use_cuda_graph": True}), ("eager", {})):
        run = Run(target, **config)
        with target.computing(), labelled_halves():
            run.frames(SETTLE)
            told(report, way, run, FRAMES[way], once)
        run.close()


def told(report: Report, way: str, run: Paced, frames: int, bytes_each: int) -> None:
    """Say what frames are made of.

    Args:
        report: where.
        way: what makes them.
        run: the same.
        frames: how many.
        bytes_each: that one reads at least.
    """
    plain = run.frames(frames) / frames
    found, under_profiler = profiled(lambda: run.frames(frames))
    if not found:
        report.claim(f"{way}: the profiler sees kernels", False, "it saw none")
        return
    parts = by_part(found)
    for name in sorted(parts):
        kernels = [work for work in parts[name] if work.kernel]
        report.figure(f"{way}, {name}: kernels a frame", len(kernels) / frames, "kernels")
        busy_ms = occupied(parts[name]) / frames / 1000
        report.figure(f"{way}, {name}: the device works", busy_ms, "ms a frame")
        report.note(f"{way}, {name}: names", names(parts[name], frames))
    busy = occupied(found) / frames / 1e6  # seconds a frame
    idle = gaps(found)
    kernels_a_frame = sum(work.kernel for work in found) / frames
    report.figure(f"{way}: kernels a frame", kernels_a_frame, "kernels")
    report.figure(f"{way}: copies and fills a frame", len(found) / frames - kernels_a_frame, "of them")
    # What reading the weights takes no less time than; the profiler only makes it longer.
    report.figure(f"{way}: the device works", 1000 * busy, "ms a frame", rate=1 / busy, bytes_each=bytes_each)
    report.figure(f"{way}: a kernel on average", 1e6 * busy / max(kernels_a_frame, 1), "µs")
    report.figure(f"{way}: gap between neighbours, median", median(idle) if idle else 0.0, "µs")
    report.figure(f"{way}: idle", 1000 * (sum(idle) / frames / 1e6), "ms a frame")
    report.figure(f"{way}: a frame without the profiler", 1000 * plain, "ms")
    report.figure(f"{way}: a frame with it", 1000 * under_profiler / frames, "ms")
    report.note(f"{way}: longest gaps", longest_gaps(found))


def profiled(work: Callable[[], object]) -> tuple[list[Work], float]:
    """What the device does during `work`, and the seconds that takes under the profiler."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            began = time.perf_counter()
            work()
            torch.cuda.synchronize()
            seconds = time.perf_counter() - began
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8", errors="replace"))["traceEvents"]
    return device_work(events), seconds


def device_work(events: Sequence[Mapping[str, Any]]) -> list[Work]:
    """What the device did, in order of time, from the events of a trace.

    A piece of work carries the number of the call that launched it; whichever label that call falls into on the
    host's side is its part. All kernels of a graph carry the number of the graph's launch.
    """
    launched: dict[Any, float] = {}  # when, by number
    labels: list[tuple[float, float, str]] = []
    for event in events:
        kind, more = event.get("cat"), event.get("args", {})
        if kind in _LAUNCHES and "correlation" in more:
            launched[more["correlation"]] = float(event["ts"])
        elif kind == "user_annotation":
            labels.append((float(event["ts"]), float(event["ts"]) + float(event["dur"]), str(event["name"])))
    found = []
    for event in events:
        if event.get("cat") in _WORK:
            when = launched.get(event.get("args", {}).get("correlation"))
            inside = [] if when is None else [label for label in labels if label[0] <= when <= label[1]]
            innermost = max(inside, key=lambda label: (label[0], -label[1]), default=(0.0, 0.0, OUTSIDE))
            start, length = float(event["ts"]), float(event["dur"])
            found.append(Work(str(event["name"]), innermost[2], start, length, _WORK[event["cat"]]))
    return sorted(found, key=lambda work: work.start)


@contextmanager
def labelled_halves() -> Iterator[None]:
    """The halves of a frame by name, for the profiler."""

    def labelled(half: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
        def run(runner: Any) -> Any:
            with record_function(name):
                return half(runner)

        return run

    eager, graph = graphs.EagerRunner, graphs.GraphRunner
    with (
        patch.object(eager, "first", labelled(eager.first, "first half")),
        patch.object(eager, "second", labelled(eager.second, "second half")),
        patch.object(graph, "first", labelled(graph.first, "first half")),
        patch.object(graph, "second", labelled(graph.second, "second half")),
    ):
        yield


def by_part(found: Sequence[Work]) -> dict[str, list[Work]]:
    """The same, by part."""
    parts: dict[str, list[Work]] = defaultdict(list)
    for work in found:
        parts[work.part].append(work)
    return dict(parts)


def occupied(found: Sequence[Work]) -> float:
    """µs in which something of `found`, in order of time, was under way; what overlaps counts once."""
    total, until = 0.0, float("-inf")
    for work in found:
        total += max(0.0, work.end - max(until, work.start))
        until = max(until, work.end)
    return total


def gaps(found: Sequence[Work]) -> list[float]:
    """µs between what ended last and what begins next, in order; overlaps are no gaps."""
    return [length for length, _, _ in _gaps(found)]


def longest_gaps(found: Sequence[Work], count: int = 5) -> list[dict[str, Any]]:
    """The longest of them, with what stood before and after."""
    longest = sorted(_gaps(found), key=lambda gap: -gap[0])[:count]
    return [
        {"µs": round(length, 1), "after": f"{a.part}: {a.name}", "before": f"{b.part}: {b.name}"}
        for length, a, b in longest
    ]


def _gaps(found: Sequence[Work]) -> Iterator[tuple[float, Work, Work]]:
    last: Work | None = None
    for work in found:
        if last is not None and work.start > last.end:
            yield work.start - last.end, last, work
        if last is None or work.end > last.end:
            last = work


def names(found: Sequence[Work], frames: int, most: int = TOP) -> list[dict[str, Any]]:
    """Those names that take most time: how often a frame has them, and their share of the time."""
    times: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for work in found:
        times[work.name] += work.microseconds  # type: ignore[assignment]  # a Counter of floats adds as well
        counts[work.name] += 1
    total = sum(times.values()) or 1.0
    return [
        {"name": name[:160], "a frame": counts[name] / frames, "µs a frame": spent / frames, "share": spent / total}
        for name, spent in times.most_common(most)
    ]
