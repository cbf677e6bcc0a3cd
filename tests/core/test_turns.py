"""Queries and keys are normalised and rotated at once, where nobody else holds them in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core.cache import Span
from dia2.core.layers import RMSNorm, head_turns, rotary_table, rotate, turn_heads
from dia2.core.model import Dia2Model

from ..support.models import random_model, tiny_config

CPU = torch.device("cpu")
EPS = 1e-5


def norm(width: int, seed: int) -> RMSNorm:
    made = RMSNorm(width, EPS)
    nn.init.normal_(made.weight, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_(False)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize(("groups", "kv_heads", "frames"), [(1, 3, 1), (2, 2, 1), (3, 1, 4)])
def test_a_turn_is_a_norm_and_then_a_rotation(
    groups: int, kv_heads: int, frames: int, rotary: bool, overwrite: bool
) -> None:
    heads = torch.randn(2, frames, groups + 2, kv_heads, 8, generator=torch.Generator().manual_seed(0))
    rotation = rotary_table(torch.arange(3, 3 + frames), 8, 1.0, 100.0) if rotary else None
    norms = [(norm(8, 2 * layer), norm(8, 2 * layer + 1)) for layer in range(2)]
    turns = head_turns(norms, groups, rotation, frames)
    assert len(turns) == 2
    for (query_norm, key_norm), turn in zip(norms, turns, strict=True):
        expected = torch.cat((query_norm(heads[:, :, :groups]), key_norm(heads[:, :, groups:-1])), dim=2)
        if rotation is not None:
            by_frame = expected.flatten(2, 3).transpose(1, 2)  # [B, H, T, D]
            expected = rotate(by_frame, rotation).transpose(1, 2).reshape(expected.shape)
        given = heads.clone()
        found = turn_heads(given, turn, EPS, overwrite=overwrite)
        assert torch.allclose(found[:, :, :-1], expected, atol=1e-6)
        assert torch.equal(found[:, :, -1], heads[:, :, -1])
        assert torch.equal(given, found if overwrite else heads)


def transformer_step(model: Dia2Model) -> None:
    state = model.new_decode_state(branches=2, slots=3, positions=3, device=CPU)
    cos, sin = state.rotation
    tokens = torch.full((2, model.config.data.channels, 1), 3)
    model.transformer(tokens, (cos[1:2], sin[1:2]), Span(state.transformer, torch.tensor([0]), 1))


def depformer_stage(model: Dia2Model) -> None:
    state = model.new_decode_state(branches=2, slots=1, positions=1, device=CPU)
    hidden = torch.randn(2, model.config.model.decoder.n_embd, generator=torch.Generator().manual_seed(1))
    shared = model.depformer.begin(hidden, state.stage_rotation)
    span = Span(state.depformer, state.stages[:1], 1)
    model.depformer.forward_stage(0, shared, torch.tensor([3, 3]), None, span)


def keep(seen: list[tuple[Tensor, Tensor, Tensor]], wanted: nn.Module) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Any, ...], out: Tensor) -> None:
        if module is wanted:
            seen.append((inputs[0].clone(), out, out.clone()))

    return hook


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("transformer.layers.1.attn.qkv_proj", transformer_step),
        ("depformer.layers.1.self_attention.in_proj.0", depformer_stage),
    ],
)
@torch.no_grad()
def test_what_a_torch_hook_keeps_of_a_projection_stays(
    name: str, run: Callable[[Dia2Model], None], everywhere: bool
) -> None:
    model = random_model(tiny_config(), seed=3)
    projection, seen = model.get_submodule(name), list[tuple[Tensor, Tensor, Tensor]]()
    hook = keep(seen, projection)
    register = nn.modules.module.register_module_forward_hook if everywhere else projection.register_forward_hook
    handle = register(hook)
    try:
        run(model)
    finally:
        handle.remove()
    [(given, kept, before)] = seen
    assert torch.equal(kept, before)
    assert torch.equal(kept, F.linear(given, model.get_parameter(f"{name}.weight")))
