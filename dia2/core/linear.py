"""Matrix products: nearly all that a frame does. Of few rows, reading the weights is nearly all of a product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FEW = 2  # rows of a frame: its guidance branches
_LONGEST = 4096  # terms of one sum
_LANES = (4, 2, 1)  # output rows that one loop of a compiled product adds up side by side


class Linear(nn.Linear):
    """`x · weightᵀ`, without a bias."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype | None = None) -> None:
        super().__init__(inputs, outputs, bias=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., inputs] to [..., outputs]."""
        return product(x, self.weight)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [..., inputs] times `weight` [outputs, inputs] transposed: [..., outputs] in the dtype of `x`."""
    if torch.compiler.is_compiling() and x.device.type == "cpu" and x.shape.numel() <= _FEW * x.shape[-1]:
        return torch.stack([_row(row, weight) for row in x.reshape(-1, x.shape[-1])]).view(*x.shape[:-1], -1)
    return F.linear(x, weight)


def _row(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [inputs] · weightᵀ as sums that torch.compile turns into one loop over the weights, with all the rows of `x`.

    Several sums side by side hide the wait of each addition for the one before. A sum of more than 4,096 terms would
    be compiled into a cascade, at half the speed, so long rows are cut.
    """
    outputs, inputs = weight.shape
    cuts = next(cuts for cuts in range(-(-inputs // _LONGEST), inputs + 1) if inputs % cuts == 0)
    lanes = next(lanes for lanes in _LANES if outputs % lanes == 0 and lanes * cuts <= max(_LANES[0], cuts))
    parts = weight.view(lanes, -1, cuts, inputs // cuts)
    pieces = x.float().view(cuts, -1)
    sums = [[(piece * part[:, cut].float()).sum(dim=-1) for cut, piece in enumerate(pieces)] for part in parts]
    return torch.cat([torch.stack(lane).sum(dim=0) if cuts > 1 else lane[0] for lane in sums]).to(x.dtype)
