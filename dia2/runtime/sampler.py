"""Drawing a token from precomputed uniforms.

Every draw of a run is decided by `u[call, channel]`, a function of the seed alone: a run is the same whether it
is eager, graphed, streamed, traced or forked, and no generator state has to be carried.
"""

from __future__ import annotations

import torch
from torch import Tensor

ACTION_CHANNEL = 0  # channel of the action's draw; codebook k draws from channel 2 + k


def probabilities(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """The distribution that a token is drawn from.

    Args:
        logits: [..., V] float32, −∞ where a token is ruled out.
        temperature: > 0.
        top_k: keep exactly so many of the most probable; ≤ 0 or ≥ V keeps all.

    Returns:
        [..., V] float32, each row sums to 1.
    """
    probs = _kept(logits, temperature, top_k)
    return probs / probs.sum(dim=-1, keepdim=True) if 0 < top_k < probs.shape[-1] else probs


def _kept(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """`probabilities`, which with `top_k` sum up to less than 1."""
    probs = torch.softmax(logits / temperature, dim=-1)
    if 0 < top_k < probs.shape[-1]:
        best = probs.topk(top_k, sorted=False)
        probs = torch.zeros_like(probs).scatter_(-1, best.indices, best.values)
    return probs


def draw(logits: Tensor, temperature: float, top_k: int, uniform: Tensor) -> Tensor:
    """Draw one token by inverse CDF over token ids; temperature ≤ 0 takes the most likely one.

    Args:
        logits: [..., V] float32.
        temperature: see `probabilities`.
        top_k: see `probabilities`.
        uniform: [..., 1] float32 in (0, 1).

    Returns:
        [..., 1] int64, on the device of `logits`, without a sync.
    """
    if temperature <= 0:
        return logits.argmax(dim=-1, keepdim=True)
    probs = _kept(logits, temperature, top_k)
    # Parallel sums need not be monotone: only tokens with a probability take part, so no other can be hit.
    cdf = probs.cumsum(dim=-1) * (probs > 0)
    hit = torch.empty_like(cdf, dtype=torch.int32)  # filled by the comparison itself, as argmax takes no bools
    return torch.gt(cdf, uniform * cdf.amax(dim=-1, keepdim=True), out=hit).argmax(dim=-1, keepdim=True)  # the first
