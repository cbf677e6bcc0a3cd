"""Text that is still being written while it is spoken, in an open batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

LATER = object()  # in place of a piece: there is none yet


class LiveText(Iterator[object]):
    """The script of a `Request` whose text comes piece by piece, from any thread.

    The run waits wherever the next words are missing, while others go on; whoever drives the batch asks for frames
    again once there are more. White space separates words, also between pieces.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._pieces: deque[str] = deque()
        self._closed = False

    def feed(self, piece: str) -> None:
        """More text."""
        self._pieces.append(piece)

    def close(self) -> None:
        """That was all."""
        self._closed = True

    def __next__(self) -> object:
        """A piece, or `LATER`."""
        closed = self._closed  # before looking: a piece may come in between, and is fed before it is closed
        if self._pieces:
            return self._pieces.popleft()
        if closed:
            raise StopIteration
        return LATER
