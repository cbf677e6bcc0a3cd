"""Products in one kernel: what the modules around a product give, at any size, dtype and tiling."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.core.kernels import product as products
from dia2.core.kernels.launch import counted
from dia2.core.kernels.product import Lookup, activation, gated_product, product, tile
from dia2.core.layers import _ACTIVATIONS, GatedMLP, RMSNorm
from dia2.core.linear import Linear
from dia2.core.quantize import Int8Linear

from ...support.kernels import as_on_a_gpu
from ...support.models import randomized

# Times the sum of all absolute terms. The interpreter cuts bfloat16 off where a device rounds to the nearest.
ALLOWED = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 3e-2}
dtypes = st.sampled_from(list(ALLOWED))
tiles = st.tuples(st.sampled_from([1, 2, 8]), st.sampled_from([4, 16, 64]))


def near(found: Tensor, expected: Tensor, size: Tensor, dtype: torch.dtype) -> bool:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return bool(((found.float() - expected.float()).abs() <= ALLOWED[dtype] * (1.0 + size.float())).all())


def unpacked(layer: Linear | Int8Linear, x: Tensor) -> Tensor:
    """`layer(x)`, without torch's own product of int8 weights: of so few inputs it reads memory that is not its own."""
    if isinstance(layer, Linear):
        return layer(x)  # type: ignore[no-any-return]  # a module's call has no type
    return (F.linear(x.float(), layer.weight.float()) * layer.scale.float()).to(x.dtype)


def in_tiles(chosen: tuple[int, int]) -> object:
    return patch.object(products, "tile", lambda *_, **__: chosen)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 8),
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 19),
    dtype=dtypes,
    parts=st.sets(st.sampled_from(["norm", "lookup", "total", "residual", "int8", "float32 weights"])),
    chosen=tiles,
    seed=st.integers(0, 999),
)
def test_a_product_is_that_of_the_modules_around_it(
    rows: int, inputs: int, outputs: int, dtype: torch.dtype, parts: set[str], chosen: tuple[int, int], seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    wide = torch.randn(rows, 2, inputs, generator=chance).to(dtype)
    x = wide[:, 1]  # rows lie apart
    norm = randomized(RMSNorm(inputs, 1e-5, dtype), seed, lambda _: True) if "norm" in parts else None
    linear = randomized(Linear(inputs, outputs, dtype), seed, lambda _: True)
    if "float32 weights" in parts:
        linear = linear.float()
    exact = linear(torch.zeros_like(x).to(linear.weight.dtype)).dtype
    layer = Int8Linear(linear) if "int8" in parts else linear
    as_on_a_gpu(layer)
    lookup = Lookup(torch.randn(5, inputs, generator=chance).to(dtype), torch.randint(5, (rows,), generator=chance))
    residual = torch.randn(outputs, rows, generator=chance).to(exact).T.contiguous() if "residual" in parts else None
    total = torch.full((rows, inputs), torch.nan, dtype=dtype) if {"lookup", "total"} <= parts else None

    entering = x + F.embedding(lookup.codes, lookup.table) if "lookup" in parts else x
    normed = (norm(entering) if norm is not None else entering).to(exact)
    expected = unpacked(layer, normed)
    size = normed.abs().float() @ linear.weight.abs().float().T
    if residual is not None:
        expected = residual + expected
    with in_tiles(chosen), counted() as launches:  # type: ignore[attr-defined]
        found = product(
            x,
            layer,
            norm=norm,
            lookup=lookup if "lookup" in parts else None,
            total=total,
            residual=residual,
            dtype=exact,
        )
    assert launches == {"product_kernel": 1}
    assert near(found, expected, size, dtype)
    if total is not None:
        assert near(total, entering, torch.zeros(1), dtype)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 8),
    width=st.integers(1, 40),
    hidden=st.integers(1, 19),
    dtype=dtypes,
    names=st.tuples(*[st.sampled_from(["silu", "gelu", "relu", "linear"])] * 2),
    packed=st.booleans(),
    chosen=tiles,
)
def test_a_gated_product_is_the_mlp_up_to_its_last_product(
    rows: int,
    width: int,
    hidden: int,
    dtype: torch.dtype,
    names: tuple[str, str],
    packed: bool,
    chosen: tuple[int, int],
) -> None:
    mlp = randomized(GatedMLP(width, hidden, list(names), dtype), 3, lambda _: True)
    norm = randomized(RMSNorm(width, 1e-5, dtype), 4, lambda _: True)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(hidden)).to(dtype)
    if packed:
        mlp.wi = Int8Linear(mlp.wi)  # type: ignore[assignment]  # as `quantize` does
        as_on_a_gpu(mlp)
    gate, up = unpacked(mlp.wi, norm(x)).chunk(2, dim=-1)
    expected = mlp.act0(gate) * mlp.act1(up)
    with in_tiles(chosen):  # type: ignore[attr-defined]
        found = gated_product(x, mlp, norm)
    assert near(found, expected, 3 * (gate.abs() + 1) * (up.abs() + 1), dtype)


def test_a_skipped_code_counts_as_zeros_and_a_lookup_may_be_all_there_is() -> None:
    table, linear = torch.randn(7, 12), Linear(12, 5)
    codes = torch.tensor([[3, 9], [6, 9]])[:, 0]  # numbers that lie apart
    found = product(None, linear, lookup=Lookup(table, codes, skipped=3))
    assert torch.equal(found[0], torch.zeros(5))
    assert torch.allclose(found[1], linear(table[6]), atol=1e-6)


@pytest.mark.parametrize("name", sorted(_ACTIVATIONS))
def test_every_activation_of_a_config_has_a_number(name: str) -> None:
    function = _ACTIVATIONS[name]
    assert (activation(function) == 0) == (name == "linear")


def test_what_no_frame_has_is_refused() -> None:
    linear = Linear(6, 4)
    with pytest.raises(AssertionError, match="few rows"):
        product(torch.zeros(9, 6), linear)
    with pytest.raises(AssertionError, match="side by side"):
        product(torch.zeros(6, 2).T, linear)
    with pytest.raises(AssertionError, match="behind the other"):
        product(torch.zeros(2, 6), torch.zeros(6, 4).T)


@pytest.mark.parametrize("rows", range(1, 9))
def test_tiles_leave_registers_and_keep_all_multiprocessors_busy(rows: int) -> None:
    for inputs, outputs, sums in ((2048, 4096, 1), (2048, 6144, 2), (6144, 2048, 1), (1024, 1024, 1), (3072, 1024, 1)):
        block_outputs, block_inputs = tile(rows, inputs, sums)
        assert block_inputs == 1024
        assert block_outputs * sums <= 8
        assert rows * block_outputs * sums <= 8 or block_outputs == 1
        assert -(-outputs // block_outputs) >= 128
    assert tile(rows, 20, 1)[1] == 32
