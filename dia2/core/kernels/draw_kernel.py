"""Guidance and draw of one token: one program over the whole vocabulary."""

import triton
import triton.language as tl


@triton.jit
def draw_kernel(
    logits,  # [B, vocabulary] float32: conditional, unconditional
    specials,  # [vocabulary] bool that may not be drawn, or none
    uniform,  # [1] float32 in (0, 1)
    out,  # [1] int64
    stride,
    scale,  # of guidance
    filter_k,
    temperature,
    top_k,
    vocabulary: tl.constexpr,
    block: tl.constexpr,
    guided: tl.constexpr,  # whether guidance rules tokens out
    greedy: tl.constexpr,
    limited: tl.constexpr,  # whether `top_k` does
):
    """See `filter_guided`, `forbid_specials` and `draw`, whose steps and names these are."""
    token = tl.arange(0, block)
    real = token < vocabulary
    least = float("-inf")
    cond = tl.load(logits + token, mask=real, other=least)
    kept = cond
    if guided:
        uncond = tl.load(logits + stride + token, mask=real, other=least)
        toward = uncond + scale * (cond - uncond)
        threshold = _float(_largest(_key(toward), real, filter_k))
        kept = tl.where(toward < threshold, least, cond)
    if specials is not None:
        forbidden = tl.load(specials + token, mask=real, other=1) != 0
        left = real & (forbidden == 0) & (kept != least)
        nothing_left = tl.sum(left.to(tl.int32), axis=0) == 0
        kept = tl.where(nothing_left, cond, kept)
        kept = tl.where(forbidden, -3.4028234663852886e38, kept)  # the least float32
    if greedy:
        key = tl.where(real, _key(kept), 0)
        best = tl.max(key, axis=0)
        found = tl.min(tl.where(real & (key == best), token, block), axis=0)
    else:
        scaled = tl.where(real, kept / temperature, least)
        # As torch has it: where nothing is left to draw, or a logit is no number, all chances are NaN.
        chance = tl.where(real, tl.exp(scaled - tl.max(scaled, axis=0)), 0.0)
        chance = chance / tl.sum(chance, axis=0)
        if limited:
            chance = _limited(chance, token, real, top_k)
        cdf = tl.where(chance > 0.0, tl.cumsum(chance, axis=0), -1.0)
        hit = cdf > tl.load(uniform) * tl.max(cdf, axis=0)
        found = tl.min(tl.where(hit, token, block), axis=0)
        found = tl.where(found == block, 0, found)
    tl.store(out, found.to(tl.int64))


@triton.jit
def _limited(chance, token, real, top_k):
    """`chance` of exactly `top_k` tokens, summing to 1; of several that are equally likely the first ones."""
    likely = tl.sum((chance > 0.0).to(tl.int32), axis=0)
    if likely > top_k:
        key = _key(chance)
        threshold = _largest(key, real, top_k)
        above = real & (key > threshold)
        tied = real & (key == threshold)
        room = top_k - tl.sum(above.to(tl.int32), axis=0)
        first = tl.cumsum(tied.to(tl.int32), axis=0) <= room
        chance = tl.where(above | (tied & first), chance, 0.0)
    return chance / tl.sum(chance, axis=0)


@triton.jit
def _key(x):
    """uint32 that are ordered as the float32 `x` are; NaN comes last, as in torch's `topk` and `argmax`."""
    x = tl.where(x == 0.0, 0.0, x)  # −0 is 0
    bits = x.to(tl.uint32, bitcast=True)
    key = tl.where((bits >> 31) == 1, ~bits, bits | 0x80000000)
    return tl.where(x == x, key, 0xFFFFFFFF)


@triton.jit
def _float(key):
    """The float32 of a `_key`."""
    bits = tl.where((key >> 31) == 1, key ^ 0x80000000, ~key)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _largest(key, real, count):
    """The key that is `count`-th from above among the `real` ones: found eight bits at a time."""
    candidates = real
    found = tl.full((), 0, tl.uint32)
    bins = tl.arange(0, 256)
    for step in tl.static_range(4):
        digit = ((key >> (24 - 8 * step)) & 255).to(tl.int32)
        held = tl.histogram(digit, 256, mask=candidates)
        upward = tl.cumsum(held, axis=0, reverse=True)  # [256]: candidates with this digit or a larger one
        chosen = tl.sum((upward >= count).to(tl.int32), axis=0) - 1
        count -= tl.sum(tl.where(bins > chosen, held, 0), axis=0)
        candidates = candidates & (digit == chosen)
        found = found | (chosen.to(tl.uint32) << (24 - 8 * step))
    return found
