"""What a frame begins with: its text through one table, its codes through one table for each codebook."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from dia2.core.kernels.embedding_kernel import add_rows_kernel
from dia2.core.kernels.launch import launch, power_of_two
from dia2.core.kernels.product import Lookup, product
from dia2.core.layers import TextEmbedding

_BLOCK = 256  # numbers of a row for each program

_addresses: WeakKeyDictionary[nn.Module, tuple[list[int], Tensor]] = WeakKeyDictionary()


def embed_text(embed: TextEmbedding, main: Tensor, second: Tensor, residual: Tensor | None = None) -> Tensor:
    """`embed(main, second)` [B, width] of token ids [B], and `residual` on top."""
    table = embed.embedding.weight
    x = product(None, embed.main_proj, lookup=Lookup(table, main), residual=residual)
    return product(None, embed.second_proj, lookup=Lookup(table, second, skipped=embed.pad), residual=x)


def add_codes(x: Tensor, owner: nn.Module, tables: Sequence[Tensor], codes: Tensor) -> Tensor:
    """`x` plus a row of each table.

    Args:
        x: [B, width].
        owner: of the tables; while it lives, their addresses are kept on the device.
        tables: K of them, [codes, width] each.
        codes: [B, K] int64.

    Returns:
        [B, width].
    """
    width = x.shape[1]
    assert x.stride(-1) == 1, "the numbers of a row lie side by side"
    assert all(table.is_contiguous() and table.dtype == x.dtype for table in tables), "tables are alike"
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    launch(
        add_rows_kernel,
        (len(x), -(-width // _BLOCK)),
        x.device,
        x,
        _addressed(owner, tables),
        codes,
        out,
        x.stride(0),
        codes.stride(0),
        codes.stride(1),
        len(tables),
        width=width,
        block=min(_BLOCK, power_of_two(width)),
    )
    return out


def _addressed(owner: nn.Module, tables: Sequence[Tensor]) -> Tensor:
    """[K] int64 on the device; made anew only where the tables have moved, so never while a graph is captured."""
    now = [table.data_ptr() for table in tables]
    known = _addresses.get(owner)
    if known is None or known[0] != now:
        known = now, torch.tensor(now, dtype=torch.int64, device=tables[0].device)
        _addresses[owner] = known
    return known[1]
