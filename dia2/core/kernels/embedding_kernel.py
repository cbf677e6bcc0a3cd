"""Sums of embedding rows: a frame's codes, each through the table of its codebook."""

import triton
import triton.language as tl


@triton.jit
def add_codes_kernel(
    x,  # [rows, width]
    tables,  # [books, codes, width]
    codes,  # [rows, books] int64
    out,  # [rows, width]
    x_stride,
    row_stride,  # of the codes
    book_stride,
    vocabulary,
    books,
    width: tl.constexpr,
    block: tl.constexpr,
):
    """One row and `block` of its numbers."""
    row = tl.program_id(0)
    at = tl.program_id(1) * block + tl.arange(0, block)
    inside = at < width
    dtype = x.dtype.element_ty
    total = tl.zeros([block], tl.float32)
    for book in range(books):
        code = tl.load(codes + row * row_stride + book * book_stride)
        total += tl.load(tables + (book * vocabulary + code) * width + at, mask=inside, other=0.0).to(tl.float32)
    before = tl.load(x + row * x_stride + at, mask=inside, other=0.0).to(tl.float32)
    total = before + total.to(dtype).to(tl.float32)
    tl.store(out + row * width + at, total.to(dtype), mask=inside)
