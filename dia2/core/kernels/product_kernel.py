"""The product of a few rows with a matrix, and all that stands before and after it in a block: one kernel."""

import triton
import triton.language as tl

LINEAR, SILU, GELU, RELU = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)


@triton.jit
def product_kernel(
    x,  # [rows, inputs], or none: then the rows are those of `table`
    weight,  # [outputs, inputs]; with `gated` [2 · outputs, inputs]
    out,  # [rows, outputs]
    scale,  # one for each row of an int8 `weight`, or none
    norm,  # [inputs] weight of an RMSNorm before the product, or none
    residual,  # [rows, outputs] added to the product, or none
    table,  # [codes, inputs] added to x by the row's code, or none
    code,  # [rows] int64, with `table`
    total,  # [rows, inputs] where x with its row of `table` is kept, or none
    x_stride,
    residual_stride,
    code_stride,
    eps,
    outputs,
    inputs: tl.constexpr,
    rows: tl.constexpr,
    block_outputs: tl.constexpr,
    block_inputs: tl.constexpr,
    skipped: tl.constexpr,  # a code whose row of `table` counts as zeros; −1: none
    gated: tl.constexpr,
    first: tl.constexpr,  # of the gate: its activation
    second: tl.constexpr,  # of the other half
):
    """Every program makes `block_outputs` outputs of all rows, so a weight is read once.

    RMSNorm's factor is one number a row: it is found on the way and multiplied at the end.
    """
    program = tl.program_id(0)
    n = program * block_outputs + tl.arange(0, block_outputs)  # [block_outputs]
    real = n < outputs
    sums = ()  # of each row: [block_outputs, block_inputs], added up over the last dimension at the end
    others = ()
    squares = ()
    for _ in tl.static_range(rows):
        sums = sums + (tl.zeros([block_outputs, block_inputs], tl.float32),)
        others = others + (tl.zeros([block_outputs, block_inputs], tl.float32),)
        squares = squares + (tl.zeros([block_inputs], tl.float32),)
    for start in range(0, inputs, block_inputs):
        k = start + tl.arange(0, block_inputs)  # [block_inputs]
        inside = k < inputs
        place = n[:, None] * inputs + k[None, :]
        there = real[:, None] & inside[None, :]
        part = tl.load(weight + place, mask=there, other=0.0).to(tl.float32)
        if gated:
            other = tl.load(weight + outputs * inputs + place, mask=there, other=0.0).to(tl.float32)
        new_sums = ()
        new_others = ()
        new_squares = ()
        for row in tl.static_range(rows):
            if table is not None:
                at = tl.load(code + row * code_stride)
                value = tl.load(table + at * inputs + k, mask=inside, other=0.0).to(tl.float32)
                value = tl.where(at == skipped, 0.0, value)
                if x is not None:
                    value += tl.load(x + row * x_stride + k, mask=inside, other=0.0).to(tl.float32)
                    value = value.to(x.dtype.element_ty).to(tl.float32)
                if total is not None:
                    if program == 0:
                        tl.store(total + row * inputs + k, value.to(total.dtype.element_ty), mask=inside)
            else:
                value = tl.load(x + row * x_stride + k, mask=inside, other=0.0).to(tl.float32)
            if norm is not None:
                new_squares = new_squares + (squares[row] + value * value,)
                value = value * tl.load(norm + k, mask=inside, other=0.0).to(tl.float32)
            new_sums = new_sums + (sums[row] + part * value[None, :],)
            if gated:
                new_others = new_others + (others[row] + other * value[None, :],)
        sums = new_sums
        if gated:
            others = new_others
        if norm is not None:
            squares = new_squares
    dtype = out.dtype.element_ty
    for row in tl.static_range(rows):
        factor = 1.0
        if norm is not None:
            factor = tl.rsqrt(tl.sum(squares[row], axis=0) / inputs + eps)
        result = tl.sum(sums[row], axis=1) * factor
        if scale is not None:
            result *= tl.load(scale + n, mask=real, other=0.0).to(tl.float32)
        if gated:
            up = tl.sum(others[row], axis=1) * factor
            if scale is not None:
                up *= tl.load(scale + outputs + n, mask=real, other=0.0).to(tl.float32)
            result = _activated(result.to(dtype).to(tl.float32), first).to(dtype).to(tl.float32)
            result *= _activated(up.to(dtype).to(tl.float32), second).to(dtype).to(tl.float32)
        if residual is not None:
            before = tl.load(residual + row * residual_stride + n, mask=real, other=0.0).to(tl.float32)
            result = result.to(dtype).to(tl.float32) + before
        tl.store(out + row * outputs + n, result.to(dtype), mask=real)


@triton.jit
def _activated(x, which: tl.constexpr):
    if which == SILU:
        x = x * tl.sigmoid(x)
    elif which == GELU:  # the exact one
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif which == RELU:
        x = tl.where(x > 0.0, x, 0.0)
    return x
