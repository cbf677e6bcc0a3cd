"""Activations that are changed while the network computes: where, and how.

Names and places are the field's: `embed`, of each layer `resid`, `attn`, `mlp` and `heads`, and `hidden`. Whatever an
intervention means (steer, ablate, patch, clamp), here it is one of two things that a CUDA graph can replay, since all
that changes from call to call stands in tensors: a value is scaled and something is added, or its parts along some
directions are moved to given values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Write(NamedTuple):
    """What becomes of one activation x [B, T, width], or of heads [B, T, heads, head_dim].

    First x · keep + add; then, of r directions one after the other, x + on · (value − x · direction) · direction.
    Tensors broadcast over B, T and, of heads, over heads.
    """

    keep: Tensor | None = None  # [B, T, 1], or [B, T, heads, 1]: 1 leaves a value as it is, 0 takes it away
    add: Tensor | None = None  # like x
    directions: Tensor | None = None  # [r, width], each of length 1; or [B, r, width]
    values: Tensor | None = None  # [B, T, r]: where the parts along the directions go
    on: Tensor | None = None  # [B, T, r]: 1 where they do, 0 where they stay

    def apply(self, x: Tensor) -> Tensor:
        """`x` as it is afterwards, in its dtype."""
        if self.keep is not None:
            x = x * self.keep.to(x.dtype)
        if self.add is not None:
            x = x + self.add.to(x.dtype)
        if self.directions is not None:
            assert self.values is not None, "directions have values"
            exact = x.float()  # the difference of two large numbers, in bfloat16, would be noise
            for number, direction in enumerate(self.directions.unbind(-2)):  # [width], or [B, width]
                part = slice(number, number + 1)
                moved = self.values[..., part] - exact @ direction[..., None]  # [B, T, 1]
                if self.on is not None:
                    moved = moved * self.on[..., part]
                exact = exact + moved * direction[..., None, :]
            x = exact.to(x.dtype)
        return x

    def over_frames(self, change: Callable[[Tensor], Tensor]) -> Write:
        """The same with another form of all that has frames, [B, T, …]."""
        keep, add, values, on = (
            None if one is None else change(one) for one in (self.keep, self.add, self.values, self.on)
        )
        return Write(keep, add, self.directions, values, on)


class Read(NamedTuple):
    """A look at one activation, as the network goes on with it."""

    look: Callable[[Tensor], None]  # at x, which stays the network's
    write: Written | None = None  # what is written first

    def apply(self, x: Tensor) -> Tensor:
        """`x` as it is afterwards."""
        x = written(x, self.write)
        self.look(x)
        return x


Written = Write | Read


class BlockWrites(NamedTuple):
    """What is written, or read, within one layer, in this order; the depformer's has `heads` and `resid` alone."""

    heads: Written | None = None  # of [B, T, heads, head_dim], before attention's output projection
    attn: Written | None = None  # of what attention adds to the residual stream
    mlp: Written | None = None  # of what the MLP adds
    resid: Written | None = None  # of the residual stream after the layer


class Writes(NamedTuple):
    """What is written, or read, in one pass of the transformer, and of the depformer after it."""

    embed: Written | None = None  # of the residual stream before the first layer
    layers: tuple[BlockWrites | None, ...] = ()  # by layer; none, or all of them
    hidden: Written | None = None  # after the final norm: what action, codebook 0 and the depformer are computed from
    stages: tuple[BlockWrites | None, ...] = ()  # of the depformer, likewise by layer; its stages stand in place of T

    def layer(self, number: int) -> BlockWrites | None:
        """Those of a layer."""
        return self.layers[number] if self.layers else None


def written(x: Tensor, write: Written | None) -> Tensor:
    """`x`, or what `write` makes of it."""
    return x if write is None else write.apply(x)


def at_stage(write: BlockWrites | None, number: int) -> BlockWrites | None:
    """What is written within one layer of the depformer, in one of the stages that `write` has side by side."""
    if write is None:
        return None

    def cut(tensor: Tensor) -> Tensor:
        return tensor[:, number : number + 1]

    return BlockWrites(*(part.over_frames(cut) if isinstance(part, Write) else None for part in write))
