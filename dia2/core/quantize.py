"""Weight-only int8: a byte a weight, with one scale for each output row; what is computed with stays as it was."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core.linear import Linear, few_in_loops, sums
from dia2.core.model import Dia2Model

_MANY = 16  # rows from which the weights are unpacked once for a matrix product of floats
_LARGEST = 127


class Int8Linear(nn.Module):
    """`x · (weight · scale)ᵀ`: torch's own product of floats with int8 weights, made for few rows."""

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        exact = linear.weight.float()  # [outputs, inputs]
        scale = exact.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        scale = scale.to(linear.weight.dtype)  # rounded before the weights are divided by it, as they are multiplied
        weight = (exact / scale.float()[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        self.weight = nn.Parameter(weight, requires_grad=False)  # [outputs, inputs] int8, −127 … 127
        self.scale = nn.Parameter(scale, requires_grad=False)  # [outputs]

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., inputs] to [..., outputs]."""
        if few_in_loops(x):
            return (sums(x, self.weight) * self.scale).to(x.dtype)
        rows = x.reshape(-1, x.shape[-1])
        if x.device.type == "cpu" and len(rows) < _MANY:
            out = torch._weight_int8pack_mm(rows, self.weight, self.scale)
        else:
            out = F.linear(rows, self.weight.to(x.dtype)) * self.scale
        return out.view(*x.shape[:-1], -1)


def quantize(model: Dia2Model) -> None:
    """Turn every matrix of both stacks into int8, in place; embeddings, norms and the float32 heads stay as they are.

    The widest of them stands in memory twice for a moment.
    """
    heads = {model.transformer.action_head, model.transformer.cb0_head, *model.depformer.logits}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear) and child not in heads:
                setattr(parent, name, Int8Linear(child))
