"""Attention of a frame in one kernel, or two: what is seen, what is written, and what is left alone."""

from __future__ import annotations

from unittest.mock import patch

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dia2.core.cache import KVCache, Span
from dia2.core.kernels import attention
from dia2.core.kernels.attention import attend_frame
from dia2.core.kernels.launch import counted
from dia2.core.layers import RMSNorm, attend, rotary_table, rotate

from ...support.models import randomized

ALLOWED = {torch.float32: 2e-6, torch.float16: 4e-3, torch.bfloat16: 6e-2}  # of the largest value


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 2),
    groups=st.integers(1, 3),
    kv_heads=st.integers(1, 2),
    half=st.integers(1, 9),
    slot=st.integers(0, 70),
    spare=st.integers(0, 5),
    splits=st.sampled_from([1, 2, 4]),
    turned=st.booleans(),
    dtype=st.sampled_from(list(ALLOWED)),
)
def test_a_frame_sees_itself_and_all_slots_before_it(
    batch: int,
    groups: int,
    kv_heads: int,
    half: int,
    slot: int,
    spare: int,
    splits: int,
    turned: bool,
    dtype: torch.dtype,
) -> None:
    heads, dim, chance = groups * kv_heads, 2 * half, torch.Generator().manual_seed(slot)
    cache = KVCache(
        layers=2,
        batch=batch,
        heads=kv_heads,
        slots=slot + 1 + spare,
        head_dim=dim,
        dtype=dtype,
        device=torch.device("cpu"),
    )
    cache.both.fill_(torch.nan)  # what is not filled must not be read
    for part in (cache.keys, cache.values):
        part[1, :, :, :slot] = torch.randn(part[1, :, :, :slot].shape, generator=chance).to(dtype)
    keys, values = cache.keys[1].clone(), cache.values[1].clone()
    norms = [randomized(RMSNorm(dim, 1e-5, dtype), seed, lambda _: True) for seed in (1, 2)]
    rotation = None
    if turned:
        cos, sin = rotary_table(torch.tensor([slot]), dim, 1.0, 10_000.0)
        rotation = cos.to(dtype), sin.to(dtype)
    fused = torch.randn(batch, 2, (heads + 2 * kv_heads) * dim, generator=chance).to(dtype)[:, 1]

    split = fused.view(batch, 1, -1, dim).split((heads, kv_heads, kv_heads), dim=2)  # type: ignore[no-untyped-call]
    query, key = (norm(part).transpose(1, 2) for norm, part in zip(norms, split[:2], strict=True))
    if rotation is not None:
        query, key = rotate(query, rotation), rotate(key, rotation)
    keys[:, :, slot], values[:, :, slot] = key[:, :, 0], split[2][:, 0]
    expected = attend(query, keys[:, :, : slot + 1], values[:, :, : slot + 1], None)[:, 0]

    span = Span(cache, torch.tensor([slot]), cache.slots).layer(1)
    short = patch.object(attention, "_SHORT", 0 if splits > 1 else 1000)
    with short, patch.object(attention, "_SPLITS", splits), counted() as launches:
        found = attend_frame(fused, (heads, kv_heads), norms[0], norms[1], rotation, span)
    assert launches == {"attend_kernel": 1, **({"join_kernel": 1} if splits > 1 else {})}
    for ours, theirs in ((found, expected), (cache.keys[1], keys), (cache.values[1], values)):
        assert ours.dtype == dtype
        assert torch.equal(ours.isnan(), theirs.isnan())
        difference = (ours.float() - theirs.float()).nan_to_num().abs().max()
        assert difference <= ALLOWED[dtype] * theirs.float().nan_to_num().abs().max().clamp(min=1.0)
    assert torch.equal(cache.keys[1, :, :, :slot], keys[:, :, :slot])
    assert cache.keys[0].isnan().all()


def test_a_long_cache_is_read_in_parts_and_a_depformers_in_one() -> None:
    norm = RMSNorm(4, 1e-5)
    for slots, kernels in ((attention._SHORT, 1), (attention._SHORT + 1, 2)):
        cache = KVCache(
            layers=1, batch=1, heads=1, slots=slots, head_dim=4, dtype=torch.float32, device=torch.device("cpu")
        )
        with counted() as launches:
            found = attend_frame(
                torch.ones(1, 12), (1, 1), norm, norm, None, Span(cache, torch.tensor([0]), 1).layer(0)
            )
        assert launches.total() == kernels
        assert torch.allclose(found, torch.ones(1, 4))
