"""Matrix products: nearly all that a frame does. Of few rows, reading the weights is nearly all of a product."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from dia2.core.reordered import Reordered

FEW = 2  # rows of a single run's frame: its guidance branches
_ABREAST = 8  # rows, of a batch, that one loop over the weights takes
_LONGEST = 4096  # terms of one sum
_TOP = -(1 << 24)  # the bits of a word's highest byte
_LANES = (4, 2, 1)  # output rows that one loop of a compiled product adds up side by side

# Whether loops become instructions on several numbers: of the processors that torch runs on, only old x86 has none.
_X86 = platform.machine() in ("x86_64", "AMD64")
_VECTORS = not _X86 or torch.backends.cpu.get_cpu_capability() != "DEFAULT"
_BFLOAT16 = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()


class Linear(nn.Linear):
    """`x · weightᵀ`, without a bias."""

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype | None = None) -> None:
        super().__init__(inputs, outputs, bias=False, dtype=dtype)
        self.reordered: Reordered | None = None  # the matrix once more, for more rows than a single run's

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., inputs] to [..., outputs]."""
        if self.reordered is not None and x.shape.numel() > FEW * x.shape[-1]:
            return self.reordered.times(x)
        return product(x, self.weight)


def in_loops(x: Tensor) -> bool:
    """Whether torch.compile is making C++ loops of this right now."""
    return torch.compiler.is_compiling() and x.device.type == "cpu"


def product(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [..., inputs] times `weight` [outputs, inputs] transposed: [..., outputs] in the dtype of `x`."""
    if few_in_loops(x, most_in_loops(weight.dtype)):
        return sums(x, weight).to(x.dtype)
    return F.linear(x, weight)


def few_in_loops(x: Tensor, most: int = FEW) -> bool:
    """Whether `x` [..., inputs] has at most so many rows, and torch.compile makes loops fast enough for them."""
    return _VECTORS and in_loops(x) and x.shape.numel() <= most * x.shape[-1]


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16."""
    return _BFLOAT16


def most_in_loops(dtype: torch.dtype) -> int:
    """Rows up to which a compiled loop over weights of such a dtype is faster than torch's product."""
    if not _X86:
        return FEW  # more was measured nowhere else
    if dtype == torch.float32:
        return _ABREAST
    return 2 * _ABREAST if dtype == torch.bfloat16 and not multiplies_bfloat16() else FEW


def sums(x: Tensor, weight: Tensor) -> Tensor:
    """A product of few rows [..., outputs] float32, as sums that torch.compile turns into one loop over the weights.

    Several sums side by side hide the wait of each addition for the one before. A sum of more than 4,096 terms would
    be compiled into a cascade, at half the speed, so long rows are cut. More rows than a single run has are filled up
    with zeros to `_ABREAST`, or twice that: rows join a batch and leave it without being compiled anew.
    """
    outputs, inputs = weight.shape
    cuts = next(cuts for cuts in range(-(-inputs // _LONGEST), inputs + 1) if inputs % cuts == 0)
    lanes = next(lanes for lanes in _LANES if outputs % lanes == 0 and lanes * cuts <= max(_LANES[0], cuts))
    parts = weight.view(lanes, -1, cuts, inputs // cuts)
    rows = x.float().reshape(-1, inputs)
    count, loops = len(rows), 1
    if count > FEW:
        loops = 1 if count <= _ABREAST else 2
        rows = F.pad(rows, (0, 0, 0, loops * _ABREAST - count))
    found = []
    for row in rows.view(loops, -1, 1, cuts, inputs // cuts).unbind(1):  # [loops, 1, cuts, inputs / cuts]
        for part in parts:  # [outputs / lanes, cuts, inputs / cuts]
            cut = [(row[..., n, :] * part[:, n].float()).sum(dim=-1) for n in range(cuts)]
            found.append(torch.stack(cut).sum(dim=0) if cuts > 1 else cut[0])  # [loops, outputs / lanes]
    return torch.stack(found, dim=1).view(-1, outputs)[:count].view(*x.shape[:-1], outputs)


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
