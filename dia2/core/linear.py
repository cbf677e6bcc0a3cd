"""Matrix products: nearly all that a frame does. Of few rows, reading the weights is nearly all of a product."""

from __future__ import annotations

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FEW = 2  # rows of a frame: its guidance branches
_LONGEST = 4096  # terms of one sum
_TOP = -(1 << 24)  # the bits of a word's highest byte
_LANES = (4, 2, 1)  # output rows that one loop of a compiled product adds up side by side

# Whether loops become instructions on several numbers: of the processors that torch runs on, only old x86 has none.
_VECTORS = platform.machine() not in ("x86_64", "AMD64") or torch.backends.cpu.get_cpu_capability() != "DEFAULT"


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
    """Whether `x` [..., inputs] has few enough rows, and torch.compile makes loops that are fast enough, for `sums`."""
    return _VECTORS and in_loops(x) and x.shape.numel() <= _FEW * x.shape[-1]


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


def sums_of_bytes(x: Tensor, words: Tensor) -> Tensor:
    """`sums` with int8 weights, four in each of `words` [outputs, inputs / 4] int32: [..., outputs] float32.

    Byte j of word i is the weight of input j · inputs / 4 + i. A byte is moved to the top of its word, which makes it
    2²⁴ times as large, and inputs are made as much smaller: both are exact. Where there is no AVX-512, torch's loops
    turn bytes into floats one by one; shifts, masks and conversions of whole words have instructions everywhere.
    """
    outputs, columns = words.shape
    cuts = next(cuts for cuts in range(-(-columns // _LONGEST), columns + 1) if columns % cuts == 0)
    lanes = next(lanes for lanes in _LANES if outputs % lanes == 0 and lanes * cuts <= max(_LANES[0], cuts))
    parts = words.view(lanes, -1, cuts, columns // cuts)
    found = []
    for row in (x.float() * 2.0**-24).reshape(-1, 4, cuts, columns // cuts):
        for part in parts:
            cut = [_four(row[:, n], part[:, n]).sum(dim=-1) for n in range(cuts)]
            found.append(torch.stack(cut).sum(dim=0) if cuts > 1 else cut[0])
    return torch.cat(found).view(*x.shape[:-1], outputs)


def _four(row: Tensor, words: Tensor) -> Tensor:
    """Products of `row` [4, n] with the four bytes of `words` [outputs, n], added up: [outputs, n] float32."""
    total = (words << 24).float() * row[0]
    for byte in (1, 2):
        total = total + ((words << 8 * (3 - byte)) & _TOP).float() * row[byte]
    return total + (words & _TOP).float() * row[3]
