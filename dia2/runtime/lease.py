"""Lending what one run at a time may use, so that the next one need not make it again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What can be lent."""

    @property
    def size(self) -> Hashable:
        """All that decides whom it serves."""


Kept = TypeVar("Kept", bound=Sized)
Lent = TypeVar("Lent", covariant=True)
Given = TypeVar("Given", contravariant=True)


class Owner(Protocol[Given]):
    """To whom what was lent goes back."""

    def release(self, state: Given) -> None:
        """A run is over; called at any time and by any thread."""


class Lease(Generic[Lent]):
    """Something in the hands of one run; it goes back by `end`, or when nobody holds the lease any more."""

    def __init__(self, pool: Owner[Lent], state: Lent) -> None:
        self.state = state
        self.end = weakref.finalize(self, pool.release, state)  # does it once
        self.end.atexit = False


class Pool(Generic[Kept]):
    """Keeps a few of what runs leave; what is lent to one run is no other's until it is back."""

    def __init__(self, most: int) -> None:
        """Begin with nothing; keep at most so many, those given back last."""
        self._most = most
        self._free: list[Kept] = []  # the one given back last stands last

    def release(self, state: Kept) -> None:
        """A run is over. Called by the garbage collector, too, so at any time and by any thread: without a lock."""
        self._free.append(state)
        del self._free[: -self._most]

    def lend(self, size: Hashable, make: Callable[[], Kept]) -> Lease[Kept]:
        """A free one of this size, or if there is none a new one; there is room for it before it is made."""
        state = self.take(size)
        if state is None:
            self.make_room()
            state = make()
        return Lease(self, state)

    def take(self, size: Hashable) -> Kept | None:
        """A free one of this size, which from now on is the caller's alone; `None` if there is none."""
        for state in reversed(self._free.copy()):
            if state.size == size:
                with suppress(ValueError):  # gone in the meantime
                    self._free.remove(state)
                    return state
        return None

    def make_room(self) -> None:
        """For one that is about to be made: memory may be short."""
        del self._free[: -self._most + 1]
