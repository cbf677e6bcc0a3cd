"""Attention of one frame: normalised and rotated query and key, the cache's new slot, and what was seen."""

import triton
import triton.language as tl


@triton.jit
def attend_kernel(
    fused,  # [B, (heads + 2 · kv_heads) · dim]: queries, keys, values
    q_norm,  # [dim]
    k_norm,  # [dim]
    cos,  # [dim], or none
    sin,  # [dim]
    keys,  # [B, kv_heads, slots, dim]
    values,  # likewise
    slot_at,  # [1] int64: the slot that is written; those before it are read
    out,  # [B, heads · dim]; of several splits [B, heads, splits, block_dim] float32
    maxima,  # [B, heads, splits] float32: the largest score, with several splits
    weights,  # [B, heads, splits] float32: the sum of exponentials, likewise
    fused_stride,
    batch_stride,  # of the cache
    head_stride,
    eps,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    dim: tl.constexpr,
    block_dim: tl.constexpr,
    block_slots: tl.constexpr,
    splits: tl.constexpr,
):
    """A program looks with one query head at one part of the slots."""
    batch, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    group: tl.constexpr = heads // kv_heads
    kv_head = head // group
    d = tl.arange(0, block_dim)
    inside = d < dim
    row = fused + batch * fused_stride
    query = _prepared(row + head * dim, q_norm, cos, sin, eps, dim, block_dim)
    key = _prepared(row + (heads + kv_head) * dim, k_norm, cos, sin, eps, dim, block_dim)
    value = tl.load(row + (heads + kv_heads + kv_head) * dim + d, mask=inside, other=0.0).to(tl.float32)
    slot = tl.load(slot_at)
    cache = batch * batch_stride + kv_head * head_stride
    if (head % group == 0) & (split == 0):
        tl.store(keys + cache + slot * dim + d, key.to(keys.dtype.element_ty), mask=inside)
        tl.store(values + cache + slot * dim + d, value.to(values.dtype.element_ty), mask=inside)
    # Its own slot is seen by the first part, from registers: nobody waits for what is written.
    own = split == 0
    most = tl.where(own, tl.sum(query * key, axis=0), float("-inf"))
    weight = tl.where(own, 1.0, 0.0)
    seen = tl.where(own, value, 0.0)  # [block_dim]
    length = tl.cdiv(slot, splits)
    begin = split * length
    end = tl.minimum(begin + length, slot)
    for start in range(begin, end, block_slots):
        at = start + tl.arange(0, block_slots)  # [block_slots]
        place = cache + at[:, None] * dim + d[None, :]
        there = (at < end)[:, None] & inside[None, :]
        before = tl.load(keys + place, mask=there, other=0.0).to(tl.float32)  # [block_slots, block_dim]
        scores = tl.where(at < end, tl.sum(before * query[None, :], axis=1), float("-inf"))
        larger = tl.maximum(most, tl.max(scores, axis=0))
        shares = tl.exp(scores - larger)
        fading = tl.exp(most - larger)
        past = tl.load(values + place, mask=there, other=0.0).to(tl.float32)
        seen = seen * fading + tl.sum(shares[:, None] * past, axis=0)
        weight = weight * fading + tl.sum(shares, axis=0)
        most = larger
    if splits == 1:
        result = (seen / weight).to(out.dtype.element_ty)
        tl.store(out + (batch * heads + head) * dim + d, result, mask=inside)
    else:
        number = (batch * heads + head) * splits + split
        tl.store(out + number * block_dim + d, seen)
        tl.store(maxima + number, most)
        tl.store(weights + number, weight)


@triton.jit
def join_kernel(
    parts,  # [B, heads, splits, block_dim] float32
    maxima,  # [B, heads, splits] float32
    weights,  # [B, heads, splits] float32
    out,  # [B, heads · dim]
    dim: tl.constexpr,
    block_dim: tl.constexpr,
    splits: tl.constexpr,  # a power of two
):
    """What a head saw, from what its parts saw; one that had no slots weighs nothing."""
    number = tl.program_id(0)  # of batch and head
    d = tl.arange(0, block_dim)
    split = number * splits + tl.arange(0, splits)
    most = tl.load(maxima + split)
    share = tl.exp(most - tl.max(most, axis=0))
    weight = tl.sum(tl.load(weights + split) * share, axis=0)
    seen = tl.load(parts + split[:, None] * block_dim + d[None, :])
    result = tl.sum(seen * share[:, None], axis=0) / weight
    tl.store(out + number * dim + d, result.to(out.dtype.element_ty), mask=d < dim)


@triton.jit
def _prepared(vector, norm, cos, sin, eps, dim: tl.constexpr, block_dim: tl.constexpr):
    """RMSNorm over [dim] and rotation, rounded where the eager form rounds; float32 [block_dim]."""
    dtype = vector.dtype.element_ty
    d = tl.arange(0, block_dim)
    inside = d < dim
    raw = tl.load(vector + d, mask=inside, other=0.0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(raw * raw, axis=0) / dim + eps)
    x = (raw * factor * tl.load(norm + d, mask=inside, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
    if cos is not None:
        across = (d + dim // 2) % dim  # the other half's
        other = tl.load(vector + across, mask=inside, other=0.0).to(tl.float32) * factor
        other = (other * tl.load(norm + across, mask=inside, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
        turned = (x * tl.load(cos + d, mask=inside, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
        crossed = (other * tl.load(sin + d, mask=inside, other=0.0).to(tl.float32)).to(dtype).to(tl.float32)
        x = (turned + crossed).to(dtype).to(tl.float32)
    return x
