"""Parts of the model through torch.compile: all blocks of a kind share one piece of compiled code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch

Part = TypeVar("Part", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {  # of a CPU
    "cpp.enable_floating_point_contract_flag": "fast",  # a product and its addition in one instruction
    "size_asserts": False,  # of what the piece itself has made: a fifth of a small call's time, 200 calls a frame
    "realize_reads_threshold": 0,  # what several sums read is computed once, not again in each of their loops
}
ON_CUDA: dict[str, Any] = {
    "force_pointwise_cat": True,  # queries, keys and values are put side by side by the loop that turns them
}
_VARIANTS = 64  # of a part: by number of branches, mask, dtype, and by lengths that torch takes for special


@cache
def compiled_form(part: Part, device: str) -> Part:
    """`part`, compiled for a type of device when it is first called with inputs of a new kind."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    options = _for_processor() if device == "cpu" else {"cuda": ON_CUDA}.get(device)
    compiled: Part = torch.compile(part, options=options)  # type: ignore[assignment]  # torch forgets the parameters
    return compiled


def _for_processor() -> dict[str, Any]:
    """`OPTIONS`, and the width of this processor's vectors.

    It is what torch would take, but torch keeps loops on disk by their options: without it, another processor that
    shares the folder, or the same one told to do without AVX-512, would be given loops whose steps are too wide for it.
    """
    from torch._inductor.cpu_vec_isa import pick_vec_isa  # the compiler, which takes seconds to import

    return OPTIONS | {"cpp.simdlen": pick_vec_isa().bit_width() or None}
