"""The key/value cache: static buffers, written slot by slot."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_ROW = 16  # slots


class KVCache:
    """Keys and values of all layers of one stack.

    The buffers never move, so a CUDA graph may hold their addresses. A slot is written before it is read, so a new
    cache holds whatever was in memory: beginning a run touches none of it. Who reads further, under a mask, clears
    it first.
    """

    both: Tensor  # [layers, 2, B, kv heads, slots, head_dim]: keys and values side by side, written in one operation

    def __init__(
        self,
        *,
        layers: int,
        batch: int,
        heads: int,
        slots: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.both = torch.empty((layers, 2, batch, heads, slots, head_dim), dtype=dtype, device=device)

    @property
    def keys(self) -> Tensor:
        """[layers, B, kv heads, slots, head_dim], a view."""
        return self.both[:, 0]

    @property
    def values(self) -> Tensor:
        """[layers, B, kv heads, slots, head_dim], a view."""
        return self.both[:, 1]

    @property
    def slots(self) -> int:
        """The capacity."""
        return self.both.shape[4]

    def clear(self) -> None:
        """Fill it with zeros: what a mask hides still takes part in a product, where NaN would spread."""
        self.both.zero_()

    def part(self, rows: slice) -> KVCache:
        """Some rows of the batch, in the same memory."""
        part = copy(self)
        part.both = self.both[:, :, rows]
        return part


class LayerSpan(NamedTuple):
    """One layer's part of a `Span`."""

    both: Tensor  # [2, B, H, slots, D]: keys, values
    slots: Tensor  # [T] int64, the slots to write; [B, 1] where each row has its own
    length: int  # slots 0 … length-1 are read

    @property
    def keys(self) -> Tensor:
        """[B, H, length, D]: what is read of them."""
        return self.both[0, :, :, : self.length]

    def append(self, both: Tensor) -> Tensor:
        """Store keys and values [2, B, H, T, D] of T frames; returns all that are read [2, B, H, length, D]."""
        if self.slots.dim() == 1:
            self.both.index_copy_(3, self.slots, both)
        else:
            # Not `scatter_`: of a part of a cache, which is not contiguous, it copies the whole, to and fro.
            rows = torch.arange(len(self.slots), device=both.device)
            self.both[:, rows, :, self.slots[:, 0]] = both[:, :, :, 0].transpose(0, 1)  # [B, 2, H, D]
        return self.both[:, :, :, : self.length]


def whole_rows(slots: int) -> int:
    """So many slots or a few more: attention on CUDA fills up the rows of other masks, by a copy in each layer."""
    return -(-slots // _ROW) * _ROW


@dataclass(frozen=True)
class Span:
    """Which slots one forward pass writes, and which it may see."""

    cache: KVCache
    slots: Tensor  # [T] int64, the slots to write, one per frame; [B, 1] where each row has its own
    length: int  # slots 0 … length-1 are read
    mask: Tensor | None = None  # [T, length] or [B, T, length] bool, true where a frame may look; `None`: all of them

    def layer(self, number: int) -> LayerSpan:
        """What the layer of this number writes and sees."""
        return LayerSpan(self.cache.both[number], self.slots, self.length)


def causal_mask(first: int, frames: int, device: torch.device) -> Tensor:
    """[frames, first + frames] bool: frame i, in slot first + i, sees its own slot and all before it."""
    slots = torch.arange(first + frames, device=device)
    return slots[None, :] <= slots[first:, None]


def additive_mask(mask: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """What attention adds to its scores: [G · T, L] or [B, 1, G · T, L], 0 where a frame may look and −∞ elsewhere.

    All layers of a pass have it in common. Attention would make it of a mask of bools anew in each.

    Args:
        mask: [T, L] bool, true where a frame may look; [B, T, L] where each row has its own.
        groups: query heads for each key head, G.
        dtype: of the queries.
    """
    added = mask.to(dtype).log()
    if added.dim() == 3:
        return added.repeat(1, groups, 1)[:, None]
    frames, slots = added.shape
    return added.expand(groups, slots) if frames == 1 else added.repeat(groups, 1)
