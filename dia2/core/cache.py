"""The key/value cache: static buffers, written slot by slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class KVCache:
    """Keys and values of all layers of one stack.

    The buffers never move, so a CUDA graph may hold their addresses. A slot is written before it is read, so a new
    cache holds whatever was in memory: beginning a run touches none of it. Who reads further, under a mask, clears
    it first.
    """

    keys: Tensor  # [layers, B, kv heads, slots, head_dim]
    values: Tensor  # [layers, B, kv heads, slots, head_dim]

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
        shape = (layers, batch, heads, slots, head_dim)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)

    @property
    def slots(self) -> int:
        """The capacity."""
        return self.keys.shape[3]

    def clear(self) -> None:
        """Fill it with zeros: what a mask hides still takes part in a product, where NaN would spread."""
        self.keys.zero_()
        self.values.zero_()


class LayerSpan(NamedTuple):
    """One layer's part of a `Span`."""

    keys: Tensor  # [B, H, slots, D]
    values: Tensor  # [B, H, slots, D]
    slots: Tensor  # [T] int64, the slots to write
    length: int  # slots 0 … length-1 are read

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store `key`, `value` [B, H, T, D]; returns [B, H, length, D] of both."""
        self.keys.index_copy_(2, self.slots, key)
        self.values.index_copy_(2, self.slots, value)
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


@dataclass(frozen=True)
class Span:
    """Which slots one forward pass writes, and which it may see."""

    cache: KVCache
    slots: Tensor  # [T] int64, the slots to write, one per frame
    length: int  # slots 0 … length-1 are read
    mask: Tensor | None = None  # [T, length] bool, true where a frame may look; `None`: all of them

    def layer(self, number: int) -> LayerSpan:
        """What the layer of this number writes and sees."""
        return LayerSpan(self.cache.keys[number], self.cache.values[number], self.slots, self.length)


def causal_mask(first: int, frames: int, device: torch.device) -> Tensor:
    """[frames, first + frames] bool: frame i, in slot first + i, sees its own slot and all before it."""
    slots = torch.arange(first + frames, device=device)
    return slots[None, :] <= slots[first:, None]
