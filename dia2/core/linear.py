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


def in_loops(x: Tensor) -> bool:
    """Whether torch.compile is making C++ loops of this right now."""
    return torch.compiler.is_compiling() and x.device.type == "cpu"


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [..., inputs] times `weight` [outputs, inputs] transposed: [..., outputs] in the dtype of `x`."""
    if few_in_loops(x):
        return sums(x, weight).to(x.dtype)
    return F.linear(x, weight)


def few_in_loops(x: Tensor) -> bool:
    """Whether `x` [..., inputs] has few enough rows, and torch.compile is at work, for `sums`."""
    return in_loops(x) and x.shape.numel() <= _FEW * x.shape[-1]


def sums(x: Tensor, weight: Tensor) -> Tensor:
    """A product of few rows [..., outputs] float32, as sums that torch.compile turns into one loop over the weights.

    Several sums side by side hide the wait of each addition for the one before. A sum of more than 4,096 terms would
    be compiled into a cascade, at half the speed, so long rows are cut.
    """
    outputs, inputs = weight.shape
    cuts = next(cuts for cuts in range(-(-inputs // _LONGEST), inputs + 1) if inputs % cuts == 0)
    lanes = next(lanes for lanes in _LANES if outputs % lanes == 0 and lanes * cuts <= max(_LANES[0], cuts))
    parts = weight.view(lanes, -1, cuts, inputs // cuts)
    found = []
    for row in x.float().reshape(-1, cuts, inputs // cuts):
        for part in parts:
            cut = [(row[n] * part[:, n].float()).sum(dim=-1) for n in range(cuts)]
            found.append(torch.stack(cut).sum(dim=0) if cuts > 1 else cut[0])
    return torch.cat(found).view(*x.shape[:-1], outputs)
