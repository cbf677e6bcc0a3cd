"""Running a block as it is, or compiled: all blocks of a kind share one piece of compiled code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

OPTIONS: dict[str, Any] = {
    "cpp.enable_floating_point_contract_flag": "fast",  # a product and its addition in one instruction
    "realize_reads_threshold": 0,  # what several sums read is computed once, not again in each of their loops
}
_VARIANTS = 64  # of a compiled block: by stack, number of branches, mask, lengths that torch takes for special


def run_block(block: nn.Module, *inputs: Any) -> Tensor:
    """Call a block; an indirection, so that the compiled form can take its place."""
    out: Tensor = block(*inputs)
    return out


def runner(compiled: bool) -> Callable[..., Tensor]:
    """`run_block`, or its compiled form."""
    return _compiled() if compiled else run_block


@cache
def _compiled() -> Callable[..., Tensor]:
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    return torch.compile(run_block, options=OPTIONS)
