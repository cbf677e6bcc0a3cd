"""What is kept between runs: bounded in number and bytes, and what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LRUCache(Generic[Key, Value]):
    """Values by key. Keys are compared whole, so one is never taken for another. Several runs may ask at a time."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._held: OrderedDict[Key, tuple[Value, int]] = OrderedDict()  # the least recently used first
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Of all that is held."""
        with self._lock:
            return sum(nbytes for _, nbytes in self._held.values())

    def get(self, key: Key) -> Value | None:
        """What is held under `key`, which makes it the most recently used."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def keep(self, key: Key, nbytes: int, make: Callable[[], Value]) -> None:
        """Hold what `make` gives; others go before it is made, so that the bound holds at every moment.

        Args:
            key: what it will be asked for by.
            nbytes: its size; what is larger than the bound is not made.
            make: gives it.
        """
        with self._lock:
            self._held.pop(key, None)
            if nbytes > self._most_bytes:
                return
            while self._held and (len(self._held) >= self._most or self.nbytes + nbytes > self._most_bytes):
                self._held.popitem(last=False)
            self._held[key] = make(), nbytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()
