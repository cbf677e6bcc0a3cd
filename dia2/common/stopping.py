"""Ctrl-C of work that must not lose what it has finished: noted, and looked at where nothing can be lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any


class Stopping(AbstractContextManager["Stopping"]):
    """A block in which Ctrl-C is noted; pressed once more, it is raised there and then.

    Ctrl-C comes between any two lines, also between those that make a result and keep it, and some libraries lose it.
    In another thread than the main one, which alone is told of it, and where it is ignored, nothing changes.
    """

    def __init__(self) -> None:
        self.asked = False  # Ctrl-C was pressed, in this block or, as a KeyboardInterrupt, in a part of it
        self._before: Any = None  # the handler; `None`: ours is not in force

    def __enter__(self) -> Stopping:
        """From here on."""
        before = signal.getsignal(signal.SIGINT)
        if self._before is None and callable(before):
            try:
                signal.signal(signal.SIGINT, self._note)
            except ValueError:  # not the main thread
                return self
            self._before = before
        return self

    def __exit__(self, *_: object) -> None:
        """As it was before."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A part of the block that has nothing to lose, and may take long: Ctrl-C is raised in it."""
        before = self._before
        self.__exit__()
        try:
            yield
        finally:
            if before is not None:
                self.__enter__()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._before(number, frame)
        self.asked = True
