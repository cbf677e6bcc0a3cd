"""What torch.compile makes for CUDA, counted without a GPU: its code is written, and neither built nor run.

Inductor asks for little of a device: what it can hold and that there is Triton, which it needs only afterwards.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

H200 = SimpleNamespace(
    name="H200",
    gcnArchName="",
    major=9,
    minor=0,
    multi_processor_count=132,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    shared_memory_per_block_optin=227 << 10,
    shared_memory_per_multiprocessor=228 << 10,
    L2_cache_size=50 << 20,
    warp_size=32,
    total_memory=141 << 30,
)
_LAUNCH = re.compile(r"^\s+(?:\w+ = )?(triton_\w+?_\d+\.run|extern_kernels\.\w+|torch\.ops\.[\w.]+)\(", re.MULTILINE)


class _WrittenError(BaseException):
    """The code is there; no more is wanted of the compiler, which catches other exceptions."""


class Inductor:
    """Lets this process write code for CUDA."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        import torch._inductor.compile_fx
        from torch._dynamo.device_interface import CudaInterface
        from torch._inductor.graph import GraphLowering
        from torch.utils import _triton

        self._codes: list[str] = []

        def written(graph: Any) -> None:
            code = graph.codegen()[0]
            self._codes.append(getattr(code, "value", code))
            raise _WrittenError

        def with_properties(*_: object) -> SimpleNamespace:
            return H200

        def nothing(*_: object) -> None:
            pass

        patch.setattr(GraphLowering, "compile_to_module", written)
        patch.setattr(torch.cuda, "get_device_properties", with_properties)
        for interface in (CudaInterface, CudaInterface.Worker):
            patch.setattr(interface, "get_device_properties", staticmethod(with_properties))
        patch.setattr(CudaInterface, "is_triton_capable", staticmethod(lambda *_: True))
        patch.setattr(CudaInterface, "raise_if_triton_unavailable", staticmethod(nothing))
        patch.setattr(CudaInterface, "get_compute_capability", staticmethod(lambda *_: 90))
        patch.setattr(_triton, "has_triton", lambda: True)
        patch.setattr(torch._C, "_cuda_getDevice", lambda: 0, raising=False)
        patch.setattr(torch.cuda, "get_rng_state", lambda *_: torch.zeros(16, dtype=torch.uint8))
        patch.setattr(torch.cuda, "set_rng_state", nothing)
        patch.setattr(torch._inductor.config, "shape_padding", False)  # it would be tried out on the device
        patch.setattr(torch._inductor.config, "fx_graph_cache", False)
        patch.setattr(F, "scaled_dot_product_attention", _attention)
        if find_spec("triton") is not None:
            _give_triton_a_target()

    def kernels(self, part: Callable[..., Any], options: dict[str, Any], *args: Any) -> Counter[str]:
        """What one call of the compiled `part` launches: Triton kernels by their names, and calls of libraries."""
        torch._dynamo.reset()
        self._codes.clear()
        with pytest.raises(_WrittenError):
            torch.compile(part, options=options, fullgraph=True)(*args)
        [code] = self._codes
        return Counter(_LAUNCH.findall(code[code.index("def call(") :]))


def _give_triton_a_target() -> None:
    """Where Triton is installed, Inductor asks it what it compiles for; for this process that is an H200."""
    runtime: Any = import_module("triton.runtime")
    target = import_module("triton.backends.compiler").GPUTarget("cuda", 90, H200.warp_size)
    runtime.driver.set_active(SimpleNamespace(get_current_target=lambda: target, get_current_device=lambda: 0))


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, scale: float) -> Tensor:
    """As CUDA's attention is one kernel, which the CPU build's choice among its own does not know."""
    if attn_mask is not None:
        attn_mask = attn_mask.expand(*query.shape[:3], key.shape[2])
    out: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, False, scale=scale
    )[0]
    return out
