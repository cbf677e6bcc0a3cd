"""What a frame begins with: its text through one table, its codes through one table for each codebook."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.core.kernels.embedding_kernel import add_codes_kernel
from dia2.core.kernels.launch import launch, power_of_two
from dia2.core.kernels.product import Lookup, product
from dia2.core.layers import CodeEmbedding, TextEmbedding

_BLOCK = 256  # numbers of a row for each program


def embed_text(embed: TextEmbedding, main: Tensor, second: Tensor, residual: Tensor | None = None) -> Tensor:
    """`embed(main, second)` [B, width] of token ids [B], and `residual` on top."""
    table = embed.embedding.weight
    x = product(None, embed.main_proj, lookup=Lookup(table, main), residual=residual)
    return product(None, embed.second_proj, lookup=Lookup(table, second, skipped=embed.pad), residual=x)


def add_codes(x: Tensor, embed: CodeEmbedding, codes: Tensor) -> Tensor:
    """`x` [B, width] plus what `embed` makes of a frame's `codes` [B, K]."""
    width = x.shape[1]
    assert x.stride(-1) == 1, "the numbers of a row lie side by side"
    assert embed.weight.is_contiguous(), "one table lies behind the other"
    assert codes.shape == (len(x), len(embed.weight)), "a code for each codebook"
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    launch(
        add_codes_kernel,
        (len(x), -(-width // _BLOCK)),
        x.device,
        x,
        embed.weight,
        codes,
        out,
        x.stride(0),
        codes.stride(0),
        codes.stride(1),
        embed.weight.shape[1],
        len(embed.weight),
        width=width,
        block=min(_BLOCK, power_of_two(width)),
    )
    return out
