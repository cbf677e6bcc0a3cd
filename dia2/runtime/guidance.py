"""Classifier-free guidance as Dia2 uses it: guided logits decide who may be drawn, never how likely it is."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.runtime.state_machine import TokenIds


def filter_guided(logits: Tensor, cfg_scale: float, filter_k: int) -> Tensor:
    """Conditional logits, with −∞ where the guided ones are not among the `filter_k` best.

    guided = uncond + cfg_scale · (cond − uncond). Ties at the threshold stay in.

    Args:
        logits: [B, ..., V] float32; row 0 conditional, row 1 unconditional (absent when guidance is off).
        cfg_scale: 1 turns guidance off.
        filter_k: at most V counts; ≤ 0 keeps all.

    Returns:
        [..., V] float32.
    """
    cond = logits[0]
    if cfg_scale == 1.0 or filter_k <= 0 or filter_k >= cond.shape[-1]:
        return cond
    guided = guide(logits, cfg_scale)
    threshold = guided.kthvalue(guided.shape[-1] - filter_k + 1, dim=-1, keepdim=True).values
    return cond.masked_fill(guided < threshold, -torch.inf)


def guide(logits: Tensor, cfg_scale: float) -> Tensor:
    """Guided logits [..., V] of `logits` [2, ..., V]."""
    return logits[1] + cfg_scale * (logits[0] - logits[1])


def forbid_specials(kept: Tensor, cond: Tensor, specials: Tensor) -> Tensor:
    """Codebook 0 never yields audio pad or BOS.

    They are forbidden after the guidance filter; if it left only these two, the draw is from all conditional
    logits without them (the published reference returns BOS, or NaN, there).

    Args:
        kept: [..., V] conditional logits after the filter.
        cond: [..., V] conditional logits before it.
        specials: [V] bool, true at audio pad and BOS.
    """
    nothing_left = (specials | (kept == -torch.inf)).all(dim=-1, keepdim=True)
    return torch.where(nothing_left, cond, kept).masked_fill(specials, torch.finfo(kept.dtype).min)


def special_codes(ids: TokenIds, vocabulary: int) -> Tensor:
    """[vocabulary] bool: true at audio pad and BOS, which codebook 0 may not draw."""
    specials = torch.zeros(vocabulary, dtype=torch.bool)
    specials[[ids.audio_pad, ids.audio_bos]] = True
    return specials
