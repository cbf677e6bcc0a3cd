"""The warm cache: keys and values of the last prefixes, so that a voice used again need not be read again."""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dia2.common.wording import counted
from dia2.core.cache import KVCache
from dia2.core.versions import Version, version_of
from dia2.runtime.lru_cache import LRUCache

logger = logging.getLogger("dia2")

MOST_PREFIXES = 4
MOST_BYTES = 512 << 20  # on the device that computes: in bfloat16 some 2,300 guided frames of Dia2-2B


class PrefixKey(NamedTuple):
    """All that decides a prefix's keys and values, in full: no two prefixes have the same."""

    shape: tuple[int, ...]  # [B, 2 + K, frames]; guidance decides B
    tokens: bytes  # what the transformer reads
    chunk: int  # frames a pass: products of other sizes are rounded otherwise
    weights: Version
    written: str  # edits of activations that do something in it, and in which frames: `trail`


class WarmPrefixes(LRUCache[PrefixKey, tuple[Tensor, Tensor]]):
    """Copies of the cache slots that warm-ups filled, of four prefixes or 512 MB at most, whichever is less.

    They lie on the device that computes, GPU included, and live as long as the loaded checkpoint. A copy within one
    device takes a small part of what the transformer takes to fill the slots, and is exact to the bit.
    """

    def __init__(self) -> None:
        super().__init__(most=MOST_PREFIXES, most_bytes=MOST_BYTES)
        self.hits = 0  # prefixes taken from here

    def restore(self, key: PrefixKey | None, cache: KVCache) -> bool:
        """Copy the prefix of `key` to the first slots of `cache`; false if it is not held."""
        found = None if key is None else self.get(key)
        if found is None:
            return False
        keys, values = found
        frames = keys.shape[3]
        cache.keys[:, :, :, :frames].copy_(keys)
        cache.values[:, :, :, :frames].copy_(values)
        self.hits += 1
        logger.info("prefix: the KV of %s is taken from the warm cache", counted(frames, "frame"))
        return True

    def store(self, key: PrefixKey | None, cache: KVCache) -> None:
        """Hold the prefix that stands in the first slots of `cache`."""
        if key is None:
            return
        frames = key.shape[2]
        parts = cache.keys[:, :, :, :frames], cache.values[:, :, :, :frames]
        nbytes = sum(part.numel() * part.element_size() for part in parts) + len(key.tokens)
        try:
            self.keep(key, nbytes, lambda: (parts[0].detach().clone(), parts[1].detach().clone()))
        except torch.OutOfMemoryError:  # a run must not fail for the sake of the next one
            self.clear()


def prefix_key(transformer: nn.Module, tokens: Tensor, chunk: int, written: str = "") -> PrefixKey | None:
    """By what a prefix is held; `None` if its pass must be made each time, since somebody's torch hook is in it.

    Args:
        transformer: whose keys and values.
        tokens: [B, 2 + K, frames] int64.
        chunk: frames a pass.
        written: see `PrefixKey`.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in transformer.modules()):
        return None
    content = tokens.cpu().contiguous().numpy().tobytes()
    return PrefixKey(tuple(tokens.shape), content, chunk, version_of(transformer.parameters()), written)
