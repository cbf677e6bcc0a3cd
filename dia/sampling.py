"""From the logits of a step to one token a channel: guidance, filters, the draw.

All channels at once and without a host sync, so that a step can be captured as a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

EOS_CHANNEL = 0  # the only one that may end a script
_COLDEST = 1e-30  # a lower temperature is no divisor in float32


def filter_guided(cond: Tensor, uncond: Tensor, scale: float, keep: int) -> Tensor:
    """`cond` with −∞ at all but the `keep` best of cond + scale · (cond − uncond); [..., V] each.

    Guidance decides which candidates stay, not how likely they are. `keep` above V keeps all.
    """
    guided = cond + scale * (cond - uncond)
    best = guided.topk(min(keep, guided.shape[-1]), dim=-1, sorted=False).indices
    return torch.full_like(cond, -torch.inf).scatter(-1, best, cond.gather(-1, best))


def forbid_specials(logits: Tensor, eos: int) -> Tensor:
    """`logits` [..., C, V] with −∞ at ids above `eos`, and at `eos` itself in every channel but the first."""
    ids = torch.arange(logits.shape[-1], device=logits.device)
    channels = torch.arange(logits.shape[-2], device=logits.device)[:, None]
    forbidden = (ids > eos) | ((ids == eos) & (channels != EOS_CHANNEL))  # [C, V]
    return logits.masked_fill(forbidden, -torch.inf)


def all_or_no_eos(logits: Tensor, eos: int) -> Tensor:
    """The end is never drawn by chance: `eos` of the first channel stays only where it is the best, and then alone.

    Args:
        logits: [..., C, V].
        eos: its id.
    """
    first = logits[..., EOS_CHANNEL, :]
    is_eos = torch.arange(logits.shape[-1], device=logits.device) == eos
    ends = first.argmax(dim=-1, keepdim=True) == eos
    first = first.masked_fill(torch.where(ends, ~is_eos, is_eos), -torch.inf)
    return torch.cat((first[..., None, :], logits[..., EOS_CHANNEL + 1 :, :]), dim=-2)


def probabilities(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """The distribution that each channel is drawn from.

    Args:
        logits: [..., V]; a row that is −∞ throughout gives id 0 for certain.
        temperature: > 0.
        top_k: so many of the best stay.
        top_p: of these the best stay, up to and with the first at which their sum passes `top_p`.

    Returns:
        [..., V] float32, each row sums to 1.
    """
    ids = torch.arange(logits.shape[-1], device=logits.device)
    none_left = torch.isneginf(logits).all(dim=-1, keepdim=True)
    logits = logits.masked_fill(none_left & (ids == 0), 0.0)
    best = logits.topk(min(top_k, logits.shape[-1]), dim=-1)  # sorted, best first
    # The difference before the quotient: a tiny temperature must not make two infinities.
    chance = ((best.values - best.values[..., :1]) / max(temperature, _COLDEST)).softmax(dim=-1)
    if top_p < 1:  # the rounded sum of all may pass 1
        before = chance.cumsum(dim=-1) - chance
        chance = chance.masked_fill(before > top_p, 0.0)
        chance = chance / chance.sum(dim=-1, keepdim=True)
    return torch.zeros_like(logits).scatter(-1, best.indices, chance)


def kept_logits(logits: Tensor, *, cfg_scale: float, keep: int, eos: int) -> Tensor:
    """Conditional logits [B, C, V] after guidance and with what may not be drawn at −∞, of raw `logits` [2B, C, V]."""
    uncond, cond = logits[0::2], logits[1::2]
    return forbid_specials(filter_guided(cond, uncond, cfg_scale, keep), eos)


def choose(kept: Tensor, uniform: Tensor, *, temperature: float, top_p: float, top_k: int, eos: int) -> Tensor:
    """One token a channel [B, C] int64.

    Args:
        kept: [B, C, V], see `kept_logits`.
        uniform: [B, C] float32 in (0, 1), which decides the draw by inverse CDF over ids.
        temperature: 0 takes the best.
        top_p: see `probabilities`.
        top_k: likewise.
        eos: its id.
    """
    if temperature <= 0:
        return kept.argmax(dim=-1)  # of nothing but −∞: id 0
    probs = probabilities(all_or_no_eos(kept, eos), temperature, top_k, top_p)
    # Parallel sums need not be monotone: only tokens with a probability take part, so no other can be hit.
    cdf = torch.where(probs > 0, probs.cumsum(dim=-1), -1.0)
    return (cdf > uniform[..., None] * cdf.amax(dim=-1, keepdim=True)).int().argmax(dim=-1)  # the first
