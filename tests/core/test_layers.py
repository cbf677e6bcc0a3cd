"""Attention by its definition, one query head at a time, beside each way in which it is computed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dia2.core import layers
from dia2.core.cache import additive_mask
from dia2.core.layers import attend, attention_weights

from ..support.reference import engine

CPU = torch.device("cpu")


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_definition(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the slots a query may look at; query head h reads kv head h // (Hq / Hkv)."""
    batch, heads, frames, _ = query.shape
    groups, slots = heads // key.shape[1], key.shape[2]
    weights = torch.zeros(batch, heads, frames, slots)
    for b in range(batch):
        for h in range(heads):
            for t in range(frames):
                seen = [s for s in range(slots) if mask is None or bool(mask[t, s])]
                scores = [float(query[b, h, t].double() @ key[b, h // groups, s].double()) for s in seen]
                total = sum(math.exp(score - max(scores)) for score in scores)
                for slot, score in zip(seen, scores, strict=True):
                    weights[b, h, t, slot] = math.exp(score - max(scores)) / total
    return weights


@given(
    batch=st.integers(1, 2),
    kv_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    frames=st.integers(1, 4),
    slots=st.integers(1, 5),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_attention_is_what_it_says(
    batch: int, kv_heads: int, groups: int, frames: int, slots: int, masked: bool, seed: int
) -> None:
    query = random(batch, kv_heads * groups, frames, 4, seed=seed)
    key, value = (random(batch, kv_heads, slots, 4, seed=seed + n) for n in (1, 2))
    mask = random(frames, slots, seed=seed + 3) > 0 if masked else None
    if mask is not None:
        mask[:, 0] = True  # somewhere every query may look
    expected = by_definition(query, key, mask)
    weights = attention_weights(query, key, mask)
    assert weights.shape == expected.shape
    assert torch.allclose(weights, expected, atol=1e-5)
    out = attend(query, key, value, None if mask is None else additive_mask(mask, groups, query.dtype))
    heads = expected @ value.repeat_interleave(groups, dim=1)  # [B, Hq, T, D]
    assert torch.allclose(out, heads.transpose(1, 2).flatten(2), atol=1e-5)


@pytest.mark.parametrize(
    ("frames", "slots", "masked", "compiled", "in_loops"),
    [
        (1, layers._SHORT, False, True, True),
        (1, layers._SHORT + 1, False, True, False),
        (2, 3, False, True, False),
        (1, 3, True, True, False),
        (1, 3, False, False, False),
    ],
)
def test_only_short_compiled_attention_of_one_frame_is_loops(
    frames: int, slots: int, masked: bool, compiled: bool, in_loops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def watched(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ran.append(query.shape)
        return real(query, key, value)

    real = layers._attend_in_loops
    monkeypatch.setattr(layers, "in_loops", lambda _: compiled)
    monkeypatch.setattr(layers, "_attend_in_loops", watched)
    query, key, value = random(2, 4, frames, 8, seed=1), random(2, 2, slots, 8, seed=2), random(2, 2, slots, 8, seed=3)
    mask = torch.ones(frames, slots, dtype=torch.bool) if masked else None
    out = attend(query, key, value, None if mask is None else additive_mask(mask, 2, query.dtype))
    heads = attention_weights(query, key, mask) @ value.repeat_interleave(2, dim=1)
    assert torch.allclose(out, heads.transpose(1, 2).flatten(2), atol=1e-5)
    assert bool(ran) == in_loops


@pytest.mark.parametrize(("stages", "slots"), [(0, 1), (1, 1), (2, 2), (7, 7)])
def test_the_depformer_has_a_slot_for_each_stage_and_one_at_least(
    stages: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine("tiny8").runtime.model
    monkeypatch.setattr(type(model.depformer), "stages", stages)
    state = model.new_decode_state(branches=2, slots=5, positions=6, device=CPU)
    assert state.stages.tolist() == list(range(slots))
    assert state.depformer.keys.shape[1:4:2] == (2, slots)
    assert state.transformer.keys.shape[1:4:2] == (2, 5)
    assert len(state.rotation[0]) == 6
