"""Weight-only int8: a byte a weight, with one scale for each output row; what is computed with stays as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core.linear import Linear, few_in_loops, sums, sums_of_bytes
from dia2.core.model import Dia2Model

Shape = tuple[int, int]  # of a matrix: outputs, inputs

_MANY = 16  # rows from which a product is one of floats whatever the kernel
_EVEN = 32  # inputs that torch's product takes at a time: of bfloat16 it reads past the end of any other row
_LARGEST = 127
_BLOCK = 1 << 20  # bytes of floats that stay in a core's cache between being written and read


class Kernel(StrEnum):
    """How few rows are multiplied by a packed matrix; `dia2.core.products` chooses."""

    PACKED = "packed"  # torch's own product with int8 weights
    BLOCKS = "blocks"  # some rows of weights at a time become floats, in the processor's cache
    UNPACKED = "unpacked"  # the whole matrix became floats when it was loaded


class Int8Linear(nn.Module):
    """`x · (weight · scale)ᵀ`, with `weight` in whole numbers up to 127.

    For a processor the columns of `weight` stand interleaved: of the four bytes that make one 32-bit word, each belongs
    to another quarter of the inputs. So compiled loops take words apart by shifts, which every processor with vectors
    does fast, beside four plain rows of inputs.
    """

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        exact = linear.weight.float()  # [outputs, inputs]
        outputs, inputs = exact.shape
        scale = exact.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        scale = scale.to(linear.weight.dtype)  # rounded before the weights are divided by it, as they are multiplied
        weight = (exact / scale.float()[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        self.shape: Shape = (outputs, inputs)
        self.words: Tensor | None = None  # [outputs, inputs / 4] int32: the memory of `weight`, four columns a number
        if weight.device.type == "cpu" and inputs % 4 == 0 and sys.byteorder == "little":
            weight = weight.view(outputs, 4, -1).transpose(1, 2).reshape(outputs, inputs)
            self.words = weight.view(torch.int32)
        self.weight = nn.Parameter(weight, requires_grad=False)  # [outputs, inputs] int8, −127 … 127
        self.scale = nn.Parameter(scale, requires_grad=False)  # [outputs]
        self.kernel = self.kernels[0]

    @property
    def kernels(self) -> list[Kernel]:
        """Those that its packed weights can be multiplied by."""
        if self.shape[1] % _EVEN:
            return [Kernel.BLOCKS]
        return [Kernel.PACKED, Kernel.BLOCKS] if self.weight.device.type == "cpu" else [Kernel.PACKED]

    @property
    def in_order(self) -> Tensor:
        """[outputs, inputs] the whole numbers, their columns not interleaved."""
        if self.words is None:
            return self.weight
        return self.weight.view(self.shape[0], -1, 4).transpose(1, 2).reshape(self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., inputs] to [..., outputs]."""
        if few_in_loops(x):
            out = sums(x, self.weight) if self.words is None else sums_of_bytes(x, self.words)
            return (out * self.scale).to(x.dtype)
        return self.times(x, self.kernel)

    def times(self, x: Tensor, kernel: Kernel) -> Tensor:
        """`forward` by a kernel of the caller's choice; only a matrix that was unpacked has that one, and no other."""
        rows = x.reshape(-1, self.shape[1])
        if self.words is not None:
            rows = rows.view(len(rows), 4, -1).transpose(1, 2).reshape(rows.shape)  # as the columns stand
        if kernel is Kernel.PACKED and len(rows) < _MANY:
            out = torch._weight_int8pack_mm(rows, self.weight, self.scale)
        elif kernel is Kernel.UNPACKED or x.device.type != "cpu":
            out = F.linear(rows, self.weight.to(x.dtype)) * self.scale
        else:
            out = self._by_blocks(rows) * self.scale
        return out.view(*x.shape[:-1], -1)

    def _by_blocks(self, rows: Tensor) -> Tensor:
        """`rows` [n, inputs] times the whole numbers, transposed: [n, outputs]."""
        outputs, inputs = self.shape
        most = max(1, _BLOCK // (inputs * rows.element_size()))
        if most >= outputs:
            return F.linear(rows, self.weight.to(rows.dtype))
        out, floats = rows.new_empty(len(rows), outputs), rows.new_empty(most, inputs)
        for first in range(0, outputs, most):
            part = self.weight[first : first + most]
            out[:, first : first + most] = F.linear(rows, floats[: len(part)].copy_(part))
        return out

    def take(self, kernel: Kernel, dtype: torch.dtype) -> None:
        """Multiply by a kernel from now on; once unpacked, a matrix stays so.

        Args:
            kernel: which; `PACKED` becomes `BLOCKS` where torch has no product of such rows.
            dtype: of what is multiplied with; `UNPACKED` keeps the weights in it.
        """
        assert self.kernel is not Kernel.UNPACKED, "its bytes are gone"
        if kernel is not Kernel.UNPACKED:
            self.kernel = kernel if kernel in self.kernels else self.kernels[0]
        else:
            self.kernel = kernel
            weight = self.in_order.to(dtype)  # whole numbers up to 127 have no more than seven bits: exact in bfloat16
            self.words, self.weight = None, nn.Parameter(weight, requires_grad=False)


def quantize(model: Dia2Model) -> None:
    """Turn every matrix of both stacks into int8, in place; embeddings, norms and the float32 heads stay as they are.

    The widest of them stands in memory twice for a moment.
    """
    heads = {model.transformer.action_head, model.transformer.cb0_head, *model.depformer.logits}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear) and child not in heads:
                setattr(parent, name, Int8Linear(child))


def packed_linears(model: nn.Module) -> Iterator[Int8Linear]:
    """Every matrix that `quantize` has packed."""
    return (module for module in model.modules() if isinstance(module, Int8Linear))
