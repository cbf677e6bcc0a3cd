"""Parts of the model through torch.compile: all blocks of a kind share one piece of compiled code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch

Part = TypeVar("Part", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {  # of a CPU
    "cpp.enable_floating_point_contract_flag": "fast",  # a product and its addition in one instruction
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
    options = {"cpu": OPTIONS, "cuda": ON_CUDA}.get(device)
    compiled: Part = torch.compile(part, options=options)  # type: ignore[assignment]  # torch forgets the parameters
    return compiled
