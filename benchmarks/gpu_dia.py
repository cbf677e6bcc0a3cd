"""The steps of `gpu.py` that are about Dia, the first generation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from dia_shapes import Ours, config_of, random_model, weight_bytes
from gpu_figures import Report
from gpu_kernels import FRAMES, told
from gpu_runs import DEVICE, SETTLE, Kept, in_turns, settled
from torch.profiler import record_function

from dia import Dia
from dia.generation import GenerationConfig
from dia.layers import DiaModel
from dia.runner import EagerStep, GraphStep
from dia2.core.ambient import isolated
from dia2.runtime.graphs import CudaGraphs, GraphBackend

ROWS = 1200  # of a run that is measured; it begins anew then
TEXTS = ["[S1] Hello there. [S2] Hi!", "[S1] How are you today? [S2] Not too bad, thank you. And you? (laughs)"]
Backend = Callable[[], GraphBackend]


class Rows(Kept):
    """A run of Dia, whose frames are rows."""

    def __init__(self, model: DiaModel, backend: Backend | None, **config: Any) -> None:
        self._model, self._backend = model, backend
        self._config = GenerationConfig(**config)
        self._run: Ours | None = None
        self.device = model.device

    def step(self) -> None:
        """See `Kept`."""
        assert self._run is not None, "begun"
        self._run.step()

    def begin(self) -> None:
        """Begin anew, and make the first row."""
        self._run = Ours(self._model, self._config, ROWS, self._backend)
        self._run.step()
        self.left = ROWS - SETTLE

    def close(self) -> None:
        """End it; what comes after begins anew."""
        self._run, self.left = None, 0


def speed(report: Report, shape: str, seconds: float) -> None:
    """Rows a second in both dtypes: one graph a row, beside the eager run and the floor."""
    for precision in ("bfloat16", "float32"):
        torch.cuda.reset_peak_memory_stats()
        model = random_model(config_of(shape), getattr(torch, precision), DEVICE)
        size = weight_bytes(model)
        operations = 2 * 2 * size / model.dtype.itemsize  # of two rows
        ways = {"graphs": Rows(model, partial(CudaGraphs, torch.device(DEVICE))), "eager": Rows(model, None)}
        with isolated():
            began = time.perf_counter()
            ways["graphs"].begin()
            settled(model.device)
            report.figure(f"{precision}: the first row of a graph", 1000 * (time.perf_counter() - began), "ms")
            found = in_turns(ways, seconds)
        least = {"bytes_each": size, "flops_each": operations, "numbers": precision}
        for name, values in found.items():
            report.rate(f"{precision}, {name}", values, "rows/s", **least)
        report.faster(f"{precision}, graphs", found["graphs"], "eager", found["eager"])
        report.figure(f"{precision}: memory at most", torch.cuda.max_memory_allocated(), "B")
        del model, ways
        torch.cuda.empty_cache()


def kernels(report: Report, shape: str) -> None:
    """What a row is made of."""
    model = random_model(config_of(shape), torch.bfloat16, DEVICE)
    for way, backend in (("graphs", partial(CudaGraphs, torch.device(DEVICE))), ("eager", None)):
        run = Rows(model, backend)
        with isolated(), labelled_rows():
            run.frames(SETTLE)
            told(report, way, run, FRAMES[way], weight_bytes(model))


@contextmanager
def labelled_rows() -> Iterator[None]:
    """Steps by a name, for the profiler."""

    def labelled(step: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
        def run(self: Any, row: int) -> None:
            with record_function("row"):
                step(self, row)

        return run

    with (
        patch.object(EagerStep, "__call__", labelled(EagerStep.__call__)),
        patch.object(GraphStep, "__call__", labelled(GraphStep.__call__)),
    ):
        yield


def exact(report: Report) -> None:
    """float32: codes of an eager run of the toy, and of graphs."""
    same(report, "graphs", Dia.toy(device=DEVICE, compute_dtype="float32"))


def compiled(report: Report) -> None:
    """float32: codes of an eager run of the toy, and of graphs whose parts are compiled."""
    dia = Dia.toy(device=DEVICE, compute_dtype="float32")
    same(report, "compiled graphs", dia, use_torch_compile=True)


def same(report: Report, what: str, dia: Dia, **options: Any) -> None:
    """Claim that two runs with graphs have the codes of an eager one; the second of them captures nothing."""
    eager = dia.speak(TEXTS, seed=1)
    for turn in ("first", "second"):
        other = dia.speak(TEXTS, seed=1, use_cuda_graph=True, **options)
        places = [
            f"script {i} parts at row {row}"
            for i, (a, b) in enumerate(zip(eager.scripts, other.scripts, strict=True))
            if (row := _parts(a.codes, b.codes)) is not None
        ]
        said = "; ".join(places) or f"{eager.steps} rows of {len(TEXTS)} scripts are the same"
        report.claim(f"{what}, {turn} run: the eager run's codes", not places, said)


def _parts(a: torch.Tensor, b: torch.Tensor) -> int | None:
    rows = min(len(a), len(b))
    differ = (a[:rows] != b[:rows]).any(dim=1).nonzero()
    if len(differ):
        return int(differ[0])
    return None if len(a) == len(b) else rows
