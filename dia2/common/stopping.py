"""Ctrl-C, and what else asks to end, of work that must not lose what it has finished: noted, and looked at later."""

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

    def __init__(self, *signals: signal.Signals) -> None:
        """Note these; without any, Ctrl-C alone. Others than it, such as SIGTERM, count as Ctrl-C once noted."""
        self.asked = False  # Ctrl-C was pressed, in this block or, as a KeyboardInterrupt, in a part of it
        self._signals = signals or (signal.SIGINT,)
        self._before: dict[int, Any] = {}  # by signal, what it called before; empty: not in force

    def __enter__(self) -> Stopping:
        """From here on."""
        for number in self._signals if not self._before else ():
            before = signal.getsignal(number)
            again = signal.default_int_handler if before is signal.SIG_DFL and number != signal.SIGINT else before
            if not callable(again):
                continue
            try:
                signal.signal(number, self._note)
            except ValueError:  # not the main thread
                return self
            self._before[number] = before, again
        return self

    def __exit__(self, *_: object) -> None:
        """As it was before."""
        handlers, self._before = self._before, {}
        for number, (before, _) in handlers.items():
            signal.signal(number, before)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A part of the block that has nothing to lose, and may take long: Ctrl-C is raised in it."""
        inside = bool(self._before)
        self.__exit__()
        try:
            yield
        finally:
            if inside:
                self.__enter__()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._before[number][1](number, frame)
        self.asked = True
