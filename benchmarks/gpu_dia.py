"""The steps of `gpu.py` that are about Dia, the first generation."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from dia_step import SCRIPT, Ours, random_model, weight_bytes

from dia import Dia
from dia.config import DiaConfig
from dia.generation import GenerationConfig
from dia2.runtime.graphs import CudaGraphs

TEXTS = ["[S1] Hello there. [S2] Hi!", SCRIPT]


def parity(device: str, **options: Any) -> tuple[bool, str, dict[str, Any]]:
    """float32: codes of an eager run of the toy and of two with `options`, the second of which captures nothing."""
    dia = Dia.toy(device=device, compute_dtype="float32")
    eager = dia.speak(TEXTS, seed=1)
    same = True
    for _ in range(2):
        other = dia.speak(TEXTS, seed=1, use_cuda_graph=True, **options)
        pairs = zip(eager.scripts, other.scripts, strict=True)
        same = same and all(torch.equal(a.codes, b.codes) for a, b in pairs)
    said = f"{eager.steps} rows of {len(TEXTS)} scripts {'are' if same else 'are not'} the same"
    return same, said, {"steps": eager.steps}


def speed(device: str, steps: int, bandwidth: float) -> tuple[bool, str, dict[str, Any]]:
    """Rows a second at the shapes of Dia-1.6B in bfloat16: one graph a row, beside the eager run and the floor.

    Args:
        device: a CUDA device.
        steps: of each.
        bandwidth: bytes a second that the device reads.
    """
    model = random_model(DiaConfig(), torch.bfloat16, device)
    floor = bandwidth / weight_bytes(model)
    found = {}
    for name, backend in (("eager", None), ("graph", partial(CudaGraphs, torch.device(device)))):
        run = Ours(model, GenerationConfig(), steps + 100, backend)
        for _ in range(20):
            run.step()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(steps):
            run.step()
        torch.cuda.synchronize()
        found[name] = steps / (time.perf_counter() - began)
    said = f"{found['graph']:.0f} rows/s by graphs, {found['eager']:.0f} eagerly; the floor is {floor:.0f}"
    return found["graph"] >= found["eager"], said, found | {"floor": floor}
