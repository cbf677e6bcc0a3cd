"""Sums of embedding rows: a frame's codes, each through the table of its codebook."""

import triton
import triton.language as tl


@triton.jit
def add_rows_kernel(
    x,  # [rows, width]
    tables,  # [K] int64: addresses of K tables [codes, width], of the dtype of x
    codes,  # [rows, K] int64
    out,  # [rows, width]
    x_stride,
    row_stride,  # of the codes
    book_stride,
    books,
    width: tl.constexpr,
    block: tl.constexpr,
):
    """One row and `block` of its numbers; rounded after each table, as the eager form rounds."""
    row = tl.program_id(0)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < width
    dtype = x.dtype.element_ty
    total = tl.load(x + row * x_stride + at, mask=inside, other=0.0).to(tl.float32)
    for book in range(books):
        table = tl.load(tables + book).to(tl.pointer_type(dtype))
        code = tl.load(codes + row * row_stride + book * book_stride)
        total = (total + tl.load(table + code * width + at, mask=inside, other=0.0).to(tl.float32)).to(dtype)
        total = total.to(tl.float32)
    tl.store(out + row * width + at, total.to(dtype), mask=inside)
