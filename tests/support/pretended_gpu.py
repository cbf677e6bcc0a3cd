"""For `benchmarks/gpu.py --preload`: the pretended CUDA device as a small GPU, and measures short enough for a test.

torch's profiler knows nothing of it; in its place stand the operations that were launched or replayed, a µs each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from . import fakecuda

fakecuda.install()
torch.set_num_threads(1)
setattr(  # noqa: B010  # to mypy it is a function of torch's own
    torch.cuda,
    "get_device_properties",
    lambda device=None: SimpleNamespace(total_memory=64 << 20, L2_cache_size=64 << 20, multi_processor_count=1),
)

import gpu_kernels  # type: ignore[import-not-found]  # noqa: E402  # in benchmarks; what these import looks for a device
import gpu_runs  # type: ignore[import-not-found]  # noqa: E402

gpu_runs.SETTLE, gpu_runs.LEAST, gpu_runs.BLOCK = 1, 2, 0.0
gpu_kernels.SETTLE = 1
gpu_kernels.FRAMES.update(graphs=2, eager=1)


class _Launches:
    """What was launched, by part of a frame."""

    def __init__(self) -> None:
        self.part = gpu_kernels.OUTSIDE
        self.found: list[Any] = []
        self._seen = self._launched()

    def take(self) -> None:
        """All since the last time belongs to the part that it is now."""
        now = self._launched()
        self.add(now - self._seen)
        self._seen = now

    def add(self, names: Counter[str]) -> None:
        """These kernels, one after the other."""
        for name in sorted(names.elements()):
            self.found.append(gpu_kernels.Work(name, self.part, float(len(self.found)), 1.0))

    @staticmethod
    def _launched() -> Counter[str]:
        return Counter(fakecuda.extension.extension().launched())


_now: list[_Launches] = []  # while something is profiled


@contextmanager
def _record_function(name: str) -> Iterator[None]:
    if not _now:
        yield
        return
    launches = _now[-1]
    launches.take()
    before, launches.part = launches.part, name
    yield
    launches.take()
    launches.part = before


def _profiled(work: Callable[[], object]) -> tuple[list[Any], float]:
    launches = _Launches()
    _now.append(launches)
    work()
    launches.take()
    _now.pop()
    return launches.found, 1.0


def _replayed(graph: Any) -> None:
    for launches in _now:
        launches.add(graph.kernels)
    _replay(graph)


_replay = torch.cuda.CUDAGraph.replay
torch.cuda.CUDAGraph.replay = _replayed  # type: ignore[method-assign, assignment]  # a capture keeps the method
gpu_kernels.record_function, gpu_kernels.profiled = _record_function, _profiled
