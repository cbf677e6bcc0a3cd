"""Guidance and draw of one token."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.core.kernels.draw_kernel import draw_kernel
from dia2.core.kernels.launch import launch, power_of_two


def draw_guided(
    logits: Tensor,
    cfg_scale: float,
    filter_k: int,
    temperature: float,
    top_k: int,
    uniform: Tensor,
    specials: Tensor | None = None,
) -> Tensor:
    """What `filter_guided`, `forbid_specials` and `draw` give one after the other.

    Of tokens that are equally likely at the bound of `top_k`, those with the lowest ids stay; torch does not say which.

    Args:
        logits: [B, V] float32; row 0 conditional, row 1 unconditional (absent when guidance is off).
        cfg_scale: 1 turns guidance off.
        filter_k: see `filter_guided`.
        temperature: ≤ 0 takes the most likely token.
        top_k: see `probabilities`.
        uniform: [1] float32 in (0, 1).
        specials: [V] bool, true where a token may not be drawn.

    Returns:
        [1] int64.
    """
    vocabulary = logits.shape[-1]
    assert logits.dtype == torch.float32, "nothing is drawn from rounded logits"
    assert logits.stride(-1) == 1, "the logits of a row lie side by side"
    out = torch.empty(1, dtype=torch.int64, device=logits.device)
    launch(
        draw_kernel,
        (1,),
        logits.device,
        logits,
        specials,
        uniform,
        out,
        logits.stride(0),
        float(cfg_scale),
        filter_k,
        float(temperature),
        top_k,
        vocabulary=vocabulary,
        block=power_of_two(vocabulary),
        guided=cfg_scale != 1.0 and 0 < filter_k < vocabulary,
        greedy=temperature <= 0,
        limited=0 < top_k < vocabulary,
        warps=8,
    )
    return out
