"""Low-rank additions to matrices (LoRA), by the names of the `peft` library: which matrices there are, and how to add.

A target's matrix W [out, in] becomes W + lora_alpha / r · lora_B · lora_A, with lora_A [r, in] and lora_B [out, r].
Queries, keys and values are one matrix in memory; here each is a target of its own, which has some of its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from torch import Tensor, nn

from dia2.core.depformer import Depformer, ScheduledAttention
from dia2.core.layers import GatedMLP
from dia2.core.linear import Linear
from dia2.core.transformer import Attention

KINDS = ("q", "k", "v", "o", "mlp", "in")  # attention's four, the MLP's two, and the way into the depformer


class Target(NamedTuple):
    """A matrix that may have an addition."""

    kind: str  # one of `KINDS`
    module: Linear
    rows: slice  # of the module's matrix

    @property
    def weight(self) -> Tensor:
        """The matrix [out, in], a view."""
        return self.module.weight[self.rows]


def targets(model: nn.Module, kinds: Collection[str] = KINDS) -> dict[str, Target]:
    """All targets of these kinds, in both stacks, by the names that their matrices have in a published state dict.

    The depformer's file has queries, keys and values of a weight set as one tensor: `.q`, `.k` and `.v` are added to
    its name.
    """
    return {name: target for name, target in _all(model) if target.kind in kinds}


def _all(model: nn.Module) -> Iterator[tuple[str, Target]]:
    for path, module in model.named_modules():
        if isinstance(module, Attention):
            first = 0
            for kind, heads in zip("qkv", module.heads, strict=True):
                end = first + heads * module.head_dim
                yield f"{path}.{kind}_proj", Target(kind, module.qkv_proj, slice(first, end))
                first = end
            yield f"{path}.o_proj", _whole("o", module.o_proj)
        elif isinstance(module, ScheduledAttention):
            width = module.heads * module.head_dim
            for number, (into, out) in enumerate(zip(module.in_proj, module.out_proj, strict=True)):
                for part, kind in enumerate("qkv"):
                    rows = slice(part * width, (part + 1) * width)
                    yield f"{path}.in_proj.{number}.{kind}", _of(kind, into, rows)
                yield f"{path}.out_proj.{number}", _whole("o", out)
        elif isinstance(module, GatedMLP):
            yield f"{path}.wi", _whole("mlp", module.wi)
            yield f"{path}.wo", _whole("mlp", module.wo)
        elif isinstance(module, Depformer):
            for number, into in enumerate(module.depformer_in):
                yield f"{path}.depformer_in.{number}", _whole("in", into)


def _whole(kind: str, module: nn.Module) -> Target:
    assert isinstance(module, Linear), "quantised matrices take no additions"
    return Target(kind, module, slice(0, module.out_features))


def _of(kind: str, module: nn.Module, rows: slice) -> Target:
    return _whole(kind, module)._replace(rows=rows)


def add(target: Target, lora_a: Tensor, lora_b: Tensor, scale: float) -> bool:
    """Add `scale` · lora_B [out, r] · lora_A [r, in] to the target's matrix, in place and computed in float32.

    Returns:
        Whether all that is there now are finite numbers.
    """
    weight = target.weight.detach()
    moved = weight.float() + scale * (lora_b.to(weight.device).float() @ lora_a.to(weight.device).float())
    weight.copy_(moved)
    return bool(weight.isfinite().all())
