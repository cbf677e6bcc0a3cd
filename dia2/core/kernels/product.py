"""Products of a frame's few rows, with what stands around them in a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core.kernels.launch import ROWS, launch, power_of_two
from dia2.core.kernels.product_kernel import GELU, LINEAR, RELU, SILU, product_kernel
from dia2.core.layers import GatedMLP, RMSNorm
from dia2.core.quantize import Int8Linear

_LINEAR: int = LINEAR.value
_ACTIVATIONS: dict[Callable[[Tensor], Tensor], int] = {F.silu: SILU.value, F.gelu: GELU.value, F.relu: RELU.value}

# A program adds up this many products side by side: 64 in each of 128 threads leaves registers for what is loaded.
_SUMS = 8192
_LONGEST = 1024  # inputs read at once: 16 bytes of bfloat16 a thread, so that weights and rows are laid out alike

_MOST = 16  # outputs of a program, of short rows


class Lookup(NamedTuple):
    """Rows of an embedding that are added to what goes into a product."""

    table: Tensor  # [codes, inputs]
    codes: Tensor  # [B] int64
    skipped: int = -1  # a code that counts as a row of zeros


def product(
    x: Tensor | None,
    linear: nn.Module | Tensor,
    *,
    norm: RMSNorm | None = None,
    lookup: Lookup | None = None,
    total: Tensor | None = None,
    residual: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """`residual + linear(norm(x + looked up rows))`, each part where it is given; sums are float32.

    Args:
        x: [B, inputs], at most 8 rows; none where `lookup` gives all that goes in.
        linear: a `Linear`, an `Int8Linear`, or a matrix [outputs, inputs].
        norm: before the product.
        lookup: rows that are added to `x` first.
        total: [B, inputs], filled with `x` and those rows.
        residual: [B, outputs].
        dtype: of what comes out; that of `x` if none, or of the table.

    Returns:
        [B, outputs].
    """
    weight, scale = _matrix(linear)
    return _run(x, weight, scale, weight.shape[0], norm, lookup, total, residual, dtype, (False, _LINEAR, _LINEAR))


def gated_product(x: Tensor, mlp: GatedMLP, norm: RMSNorm) -> Tensor:
    """`mlp` of `norm(x)` [B, inputs] up to its last product: [B, hidden]."""
    weight, scale = _matrix(mlp.wi)
    gate = (True, activation(mlp.act0), activation(mlp.act1))
    return _run(x, weight, scale, weight.shape[0] // 2, norm, None, None, None, None, gate)


def activation(function: Callable[[Tensor], Tensor]) -> int:
    """The number by which the kernel knows one of the activations in `dia2.core.layers`."""
    return _ACTIVATIONS.get(function, _LINEAR)


def _matrix(linear: nn.Module | Tensor) -> tuple[Tensor, Tensor | None]:
    """Weights, and of int8 ones a scale for each row."""
    if isinstance(linear, Tensor):
        return linear, None
    weight = linear.weight
    assert isinstance(weight, Tensor), "of a linear map"
    assert getattr(linear, "words", None) is None, "columns stand interleaved on a CPU alone"
    return weight, linear.scale if isinstance(linear, Int8Linear) else None


def _run(
    x: Tensor | None,
    weight: Tensor,
    scale: Tensor | None,
    outputs: int,
    norm: RMSNorm | None,
    lookup: Lookup | None,
    total: Tensor | None,
    residual: Tensor | None,
    dtype: torch.dtype | None,
    gate: tuple[bool, int, int],
) -> Tensor:
    table, codes, skipped = (None, None, -1) if lookup is None else lookup
    source = x if x is not None else table
    assert source is not None, "something goes in"
    rows = len(x) if x is not None else len(codes) if codes is not None else 0
    assert 0 < rows <= ROWS, "a frame has few rows"
    inputs = weight.shape[1]
    for part in (x, residual):
        assert part is None or part.shape[-1] == 1 or part.stride(-1) == 1, "the numbers of a row lie side by side"
    for part in (weight, table, total):
        assert part is None or part.is_contiguous(), "one row lies behind the other"
    out = torch.empty((rows, outputs), dtype=dtype or source.dtype, device=weight.device)
    block_outputs, block_inputs = tile(rows, inputs, sums=2 if gate[0] else 1)
    launch(
        product_kernel,
        (-(-outputs // block_outputs),),
        weight.device,
        x,
        weight,
        out,
        scale,
        None if norm is None else norm.weight,
        residual,
        table,
        codes,
        total,
        0 if x is None else x.stride(0),
        0 if residual is None else residual.stride(0),
        0 if codes is None else codes.stride(0),
        0.0 if norm is None else norm.eps,
        outputs,
        inputs=inputs,
        rows=rows,
        block_outputs=block_outputs,
        block_inputs=block_inputs,
        skipped=skipped,
        gated=gate[0],
        first=gate[1],
        second=gate[2],
        enable_fp_fusion=True,
    )
    return out


def tile(rows: int, inputs: int, sums: int) -> tuple[int, int]:
    """Outputs and inputs that a program takes at once, by rows, inputs and the sums it makes for an output.

    Few outputs: even of a depformer's products (1,024 outputs) there is more than a program for each multiprocessor.
    """
    block_inputs = min(power_of_two(inputs), _LONGEST)
    return min(max(_SUMS // (power_of_two(rows) * sums * block_inputs), 1), _MOST), block_inputs
