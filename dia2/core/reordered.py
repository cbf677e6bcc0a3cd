"""Matrices in the order that oneDNN multiplies in, beside those in torch's: for the rows of a batch, in bfloat16.

Given a matrix as torch has it, oneDNN puts it in order anew in each product. For one or two rows that costs little, and
a compiled loop does without; for eight it takes a third to a half of the time. So matrices stand in memory twice while
a batch lasts. The depformer's come first: a frame reads each of them several times, and they are a twentieth of a large
model.

torch.compile knows nothing of tensors in oneDNN's order, so an operation of ours finds them by a number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from dia2.core.linear import FEW, Linear, multiplies_bfloat16
from dia2.core.model import Dia2Model

_ROWS = 8  # of a product that the order should suit; others work, too
_NUMBERS = itertools.count()
_MATRICES: WeakValueDictionary[int, Tensor] = WeakValueDictionary()  # by number, in oneDNN's order


class Reordered:
    """A second copy of a matrix [outputs, inputs]."""

    def __init__(self, weight: Tensor) -> None:
        number = next(_NUMBERS)
        self.outputs = len(weight)
        self.number = torch.tensor(number)  # a tensor, so that one piece of compiled code does for all matrices
        self._matrix = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        _MATRICES[number] = self._matrix

    def times(self, x: Tensor) -> Tensor:
        """`x` [..., inputs] times the matrix, transposed: [..., outputs]."""
        out: Tensor = torch.ops.dia2.reordered_product(x, self.number, self.outputs)
        return out


def _product(x: Tensor, number: Tensor, outputs: int) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, _MATRICES[int(number)], None, "none", [], "")
    return out


def _shape(x: Tensor, number: Tensor, outputs: int) -> Tensor:
    return x.new_empty(*x.shape[:-1], outputs)


_LIBRARY = torch.library.Library("dia2", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch leaves all of it untyped
_LIBRARY.define("reordered_product(Tensor x, Tensor number, int outputs) -> Tensor")  # type: ignore[no-untyped-call]
_LIBRARY.impl("reordered_product", _product, "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("dia2::reordered_product", _shape, lib=_LIBRARY)


@contextmanager
def reordered(model: Dia2Model, rows: int, most_bytes: int) -> Iterator[None]:
    """Let matrices of `model` have a second copy as long as this lasts, where that makes products faster.

    Args:
        model: whose they are.
        rows: that its products will have, at most: of few, nothing is gained.
        most_bytes: that copies may take: those of the depformer come first, then the transformer's, each all or none.
    """
    mine: list[tuple[Linear, Reordered]] = []
    try:
        for part in (model.depformer, model.transformer) if rows > FEW else ():
            linears = [linear for linear in part.modules() if isinstance(linear, Linear) and _pays(linear)]
            most_bytes -= sum(linear.weight.nbytes for linear in linears)
            if most_bytes < 0:
                break
            for linear in linears:
                linear.reordered = Reordered(linear.weight.detach())
                mine.append((linear, linear.reordered))
        yield
    finally:
        for linear, copy in mine:
            if linear.reordered is copy:  # another batch of the same model may have come since
                linear.reordered = None


def _pays(linear: Linear) -> bool:
    weight = linear.weight
    return weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and multiplies_bfloat16()
