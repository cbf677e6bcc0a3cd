"""The key/value cache: static buffers, written slot by slot."""

from __future__ import annotations

import math
import mmap
import sys
from dataclasses import dataclass

import torch
from torch import Tensor


class KVCache:
    """Keys and values of all layers of one stack.

    The buffers never move, so a CUDA graph may hold their addresses. A slot is written before it is read;
    what lies beyond is never looked at, so emptying the cache costs nothing.
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
        # Zeros, not empty: under CUDA graphs masked slots take part in a product, where NaN would spread.
        self.keys = _zeros(shape, dtype, device)
        self.values = _zeros(shape, dtype, device)

    @property
    def slots(self) -> int:
        """The capacity."""
        return self.keys.shape[3]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """As `torch.zeros`, but a CPU's memory is taken when a slot is first written.

    Clearing a whole context takes longer than copying a prefix into it, and most runs use a small part.
    """
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    nbytes = math.prod(shape) * dtype.itemsize
    if sys.platform == "win32":
        memory = mmap.mmap(-1, nbytes)
    else:
        memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not shared with a forked process
    return torch.frombuffer(memory, dtype=dtype).view(shape)


@dataclass(frozen=True)
class Span:
    """Which slots one forward pass writes, and which it may see."""

    cache: KVCache
    slots: Tensor  # [T] int64, the slots to write, one per frame
    length: int  # slots 0 … length-1 are read
    mask: Tensor | None = None  # [T, length] bool, true where a frame may look; none: all of them

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's `key`, `value` [B, H, T, D]; returns that layer's [B, H, length, D] of both."""
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        keys.index_copy_(2, self.slots, key)
        values.index_copy_(2, self.slots, value)
        return keys[:, :, : self.length], values[:, :, : self.length]


def causal_mask(first: int, frames: int, device: torch.device) -> Tensor:
    """[frames, first + frames] bool: frame i, in slot first + i, sees its own slot and all before it."""
    slots = torch.arange(first + frames, device=device)
    return slots[None, :] <= slots[first:, None]
