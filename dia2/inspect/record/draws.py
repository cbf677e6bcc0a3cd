"""Draws of many calls as tensors, and as the columns of a shard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dia2.inspect.schema.draw import BEST, Draw, candidates


def arrays(columns: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Columns as they are written."""
    return {name: tensor.cpu().numpy() for name, tensor in columns.items()}


class DrawTable(NamedTuple):
    """Draws of n calls, D of each; missing candidates have id −1."""

    ids: Tensor  # [n, D, 16] int64
    cond: Tensor  # [n, D, 16] float32
    guided: Tensor  # [n, D, 16] float32
    kept: Tensor  # [n, D, 16] bool
    choice: Tensor  # [n, D] int64
    probability: Tensor  # [n, D] float32

    def draw(self, row: int, column: int, name: str) -> Draw:
        """One cell as an object."""
        parts = (part[row, column].tolist() for part in (self.ids, self.cond, self.guided, self.kept))
        return Draw(name, int(self.choice[row, column]), float(self.probability[row, column]), candidates(*parts))


def pack_kept(kept: Tensor) -> Tensor:
    """[..., 16] bool as [...] int32: bit i is candidate i."""
    return (kept.int() << torch.arange(BEST, dtype=torch.int32)).sum(dim=-1, dtype=torch.int32)


def draw_columns(table: DrawTable) -> dict[str, Tensor]:
    """The columns `draw.*` of a shard."""
    return {
        "draw.ids": table.ids.int(),
        "draw.cond": table.cond,
        "draw.guided": table.guided,
        "draw.kept": pack_kept(table.kept),
        "draw.probability": table.probability,
    }


def best_candidates(cond: Tensor, choice: Tensor) -> Tensor:
    """Ids [..., at most 16] of the best of `cond` [..., V]; the last gives way to `choice` [...] if that is none."""
    ids = cond.topk(min(BEST, cond.shape[-1])).indices
    missing = (ids != choice[..., None]).all(dim=-1)
    ids[..., -1] = torch.where(missing, choice, ids[..., -1])
    return ids


def padded(table: DrawTable) -> DrawTable:
    """The same with 16 candidates a draw, id −1 where there are fewer."""
    room = BEST - table.ids.shape[-1]
    if not room:
        return table
    cond, guided, kept = (nn.functional.pad(part, (0, room)) for part in (table.cond, table.guided, table.kept))
    return table._replace(ids=nn.functional.pad(table.ids, (0, room), value=-1), cond=cond, guided=guided, kept=kept)
