"""Changed activations: what is written where, against torch's own hooks; frame by frame as in one pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dia2.core.acts import BlockWrites, Write, Writes, Written
from dia2.core.cache import Span
from dia2.core.layers import rotary_table
from dia2.core.model import Dia2Model
from dia2.core.transformer import Block, TransformerOutput

from ..support.models import random_model, tiny_config

B, T = 2, 5
POINTS = ("embed", "heads", "attn", "mlp", "resid", "hidden")


@pytest.fixture(scope="module")
def model() -> Dia2Model:
    return random_model(tiny_config())


def shape(model: Dia2Model, point: str) -> tuple[int, ...]:
    block = model.config.model.decoder
    return (block.gqa_query_heads, block.gqa_head_dim) if point == "heads" else (block.n_embd,)


def drawn(model: Dia2Model, point: str, seed: int) -> Write:
    """A write that does all there is, another in each frame and branch."""
    chance = torch.Generator().manual_seed(seed)
    *heads, width = shape(model, point)
    if heads:
        return Write(torch.rand(B, T, *heads, 1, generator=chance), torch.randn(B, T, *heads, width, generator=chance))
    directions = torch.linalg.qr(torch.randn(width, 2, generator=chance))[0].T
    return Write(
        torch.rand(B, T, 1, generator=chance),
        torch.randn(B, T, width, generator=chance),
        directions,
        torch.randn(B, T, 2, generator=chance),
        (torch.rand(B, T, 2, generator=chance) < 0.5).float(),
    )


def of(point: str, layer: int, layers: int, write: Write) -> Writes:
    if point in ("embed", "hidden"):
        return Writes(embed=write) if point == "embed" else Writes(hidden=write)
    parts: list[BlockWrites | None] = [None] * layers
    parts[layer] = BlockWrites()._replace(**{point: write})
    return Writes(layers=tuple(parts))


def at(writes: Writes, frames: slice) -> Writes:
    """The same of some frames."""

    def part(write: Written | None) -> Write | None:
        if write is None:
            return None
        assert isinstance(write, Write)
        moving = (None if x is None else x[:, frames] for x in (write.keep, write.add, write.values, write.on))
        keep, add, values, on = moving
        return Write(keep, add, write.directions, values, on)

    layers = tuple(layer and BlockWrites(*map(part, layer)) for layer in writes.layers)
    return Writes(part(writes.embed), layers, part(writes.hidden))


def inputs(model: Dia2Model) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    data, block = model.config.data, model.config.model
    tokens = torch.randint(0, 4, (B, data.channels, T), generator=torch.Generator().manual_seed(1))
    rope = block.rope_min_timescale, block.rope_max_timescale
    return tokens, rotary_table(torch.arange(T), block.decoder.gqa_head_dim, *rope)


def by_hooks(model: Dia2Model, point: str, layer: int, write: Write) -> TransformerOutput:
    """The same by torch's own hooks."""
    tokens, rotation = inputs(model)
    block = cast(Block, model.transformer.layers[layer])
    dim = model.config.model.decoder.gqa_head_dim

    def after(_: Any, __: Any, out: Tensor) -> Tensor:
        return expected(out, write)

    def first(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (expected(given[0], write), *given[1:])

    def mixed(_: Any, given: tuple[Tensor]) -> tuple[Tensor]:
        return (expected(given[0].view(B, T, -1, dim), write).flatten(2),)

    with ExitStack() as hooks:
        if point == "embed":
            hooks.enter_context(model.transformer.layers[0].register_forward_pre_hook(first))
        elif point == "heads":
            hooks.enter_context(block.attn.o_proj.register_forward_pre_hook(mixed))
        else:
            module = {"attn": block.attn, "mlp": block.mlp, "resid": block, "hidden": model.transformer.norm}[point]
            hooks.enter_context(module.register_forward_hook(after))
        out: TransformerOutput = model.transformer(tokens, rotation, mask=torch.ones(T, T).tril().bool())
        return out


def expected(x: Tensor, write: Write) -> Tensor:
    """In words: scaled, added to, and with its parts along the directions moved."""
    assert write.keep is not None
    assert write.add is not None
    x = x * write.keep + write.add
    if write.directions is None or write.values is None or write.on is None:
        return x
    for number, direction in enumerate(write.directions):
        along = (x * direction).sum(-1)
        step = write.on[..., number] * (write.values[..., number] - along)
        x = x + step[..., None] * direction
    return x


@pytest.mark.parametrize("point", POINTS)
def test_a_write_is_what_a_hook_would_do(model: Dia2Model, point: str) -> None:
    tokens, rotation = inputs(model)
    layers, mask = len(model.transformer.layers), torch.ones(T, T).tril().bool()
    plain = model.transformer(tokens, rotation, mask=mask)
    for layer in range(layers):
        write = drawn(model, point, layer)
        found = model.transformer(tokens, rotation, mask=mask, writes=of(point, layer, layers, write))
        wanted = by_hooks(model, point, layer, write)
        for ours, theirs, without in zip(found, wanted, plain, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)
            assert not torch.allclose(ours, without, atol=1e-2)


@pytest.mark.parametrize("point", POINTS)
def test_frame_by_frame_as_in_one_pass(model: Dia2Model, point: str) -> None:
    tokens, (cos, sin) = inputs(model)
    layers = len(model.transformer.layers)
    writes = of(point, layers - 1, layers, drawn(model, point, 9))
    whole = model.transformer(tokens, (cos, sin), mask=torch.ones(T, T).tril().bool(), writes=writes)
    state = model.new_decode_state(branches=B, slots=T, positions=T, device=torch.device("cpu"))
    for t in range(T):
        one = slice(t, t + 1)
        span = Span(state.transformer, torch.tensor([t]), t + 1)
        out = model.transformer(tokens[:, :, one], (cos[one], sin[one]), span, writes=at(writes, one))
        for ours, theirs in zip(out, whole, strict=True):
            assert torch.allclose(ours[:, 0], theirs[:, t], atol=1e-4)


def test_nothing_written_changes_no_bit(model: Dia2Model) -> None:
    tokens, rotation = inputs(model)
    plain = model.transformer(tokens, rotation)
    none = BlockWrites(None, None, None, None)
    for writes in (Writes(), Writes(layers=(none,) * len(model.transformer.layers))):
        for ours, theirs in zip(model.transformer(tokens, rotation, writes=writes), plain, strict=True):
            assert torch.equal(ours, theirs)


@given(st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 99))
def test_parts_along_directions_go_where_they_shall_and_the_rest_stays(dtype: torch.dtype, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    x = (8 * torch.randn(2, 3, 16, generator=chance)).to(dtype)
    directions = torch.linalg.qr(torch.randn(16, 3, generator=chance))[0].T
    values = torch.randn(2, 3, 3, generator=chance)
    out = Write(directions=directions, values=values).apply(x)
    assert out.dtype == dtype
    near = 1e-4 if dtype == torch.float32 else 0.3
    assert torch.allclose(out.float() @ directions.T, values, atol=near)
    rest = torch.eye(16) - directions.T @ directions
    assert torch.allclose(out.float() @ rest, x.float() @ rest, atol=near)
