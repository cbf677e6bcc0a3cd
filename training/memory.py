"""What lets a network train in less memory: blocks that are computed twice, and optimisers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from dia2.common.errors import UsageError
from dia2.core.model import Dia2Model
from training.loop import Optimizer, adamw


def checkpoint_blocks(model: Dia2Model) -> None:
    """Let every block of both stacks keep its input alone, and compute the rest again on the way back."""
    for block in (*model.transformer.layers, *model.depformer.layers):
        block.forward = partial(_twice, block.forward)


def _twice(forward: Any, *given: Any, **more: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*given, **more)
    return checkpoint(forward, *given, use_reentrant=False, **more)


def optimizer_of(name: str) -> Optimizer:
    """What makes the optimiser called `adamw` or `adamw8bit`.

    Raises:
        UsageError: the library that it needs is not there.
    """
    if name == "adamw":
        return adamw
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UsageError("--optimizer adamw8bit needs bitsandbytes: pip install bitsandbytes.") from error

    def make(groups: list[dict[str, Any]], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = AdamW8bit(groups, lr=rate, betas=betas)
        return made

    return make
