"""Attention of one frame over its cache."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.core.cache import LayerSpan
from dia2.core.kernels.attention_kernel import attend_kernel, join_kernel
from dia2.core.kernels.launch import launch, power_of_two
from dia2.core.layers import RMSNorm, Rotation

_SHORT = 64  # slots up to which one program sees all of a head's
_BLOCK = 32  # slots that it reads at once
_SPLITS = 8  # programs for a head of a longer cache: with 2 × 16 heads, two for each of an H200's multiprocessors


def attend_frame(
    fused: Tensor,
    heads: tuple[int, int],
    q_norm: RMSNorm,
    k_norm: RMSNorm,
    rotation: Rotation | None,
    span: LayerSpan,
) -> Tensor:
    """All of a frame's attention between its two projections; writes the frame's slot and sees those before it.

    Only slots that are filled are read, whatever the span's length: under CUDA graphs that is the whole capacity.

    Args:
        fused: [B, (Hq + 2 · Hkv) · D]: queries, keys and values, as they are projected.
        heads: Hq and Hkv; query head h reads kv head h // (Hq / Hkv).
        q_norm: over D.
        k_norm: over D.
        rotation: of the one position, [1, D] each; none leaves vectors as they are.
        span: its one slot lies behind all that may be seen.

    Returns:
        [B, Hq · D].
    """
    assert len(span.slots) == 1, "one frame"
    assert fused.stride(-1) == 1, "the numbers of a row lie side by side"
    keys, values = span.both  # [B, Hkv, slots, D] each
    batch, dim = len(fused), keys.shape[-1]
    assert keys.stride()[2:] == (dim, 1), "slots lie one behind the other"
    device, block_dim = fused.device, power_of_two(dim)
    splits = 1 if keys.shape[2] <= _SHORT else _SPLITS
    out = torch.empty((batch, heads[0] * dim), dtype=fused.dtype, device=device)
    parts = maxima = weights = out
    if splits > 1:
        shape = (batch, heads[0], splits)
        parts = torch.empty((*shape, block_dim), dtype=torch.float32, device=device)
        maxima, weights = torch.empty((2, *shape), dtype=torch.float32, device=device)
    cos, sin = (None, None) if rotation is None else rotation
    launch(
        attend_kernel,
        (batch, heads[0], splits),
        device,
        fused,
        q_norm.weight,
        k_norm.weight,
        cos,
        sin,
        keys,
        values,
        span.slots,
        parts,
        maxima,
        weights,
        fused.stride(0),
        keys.stride(0),
        keys.stride(1),
        q_norm.eps,
        heads=heads[0],
        kv_heads=heads[1],
        dim=dim,
        block_dim=block_dim,
        block_slots=_BLOCK,
        splits=splits,
    )
    if splits > 1:
        grid = (batch * heads[0],)
        launch(join_kernel, grid, device, parts, maxima, weights, out, dim=dim, block_dim=block_dim, splits=splits)
    return out
