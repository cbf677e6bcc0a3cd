"""A run as a generator: alone it never pauses, in a batch it pauses for its row, and for each half of a frame."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from dia2.runtime.frame import GenerationState
from dia2.runtime.state_machine import Emission

Result = TypeVar("Result")


class Wait(Enum):
    """What a run that shares its frames with others waits for: whoever drives it sees to that, then goes on."""

    ROOM = "room"  # memory for its row, until others have left
    TEXT = "text"  # the next words of its script, which is still being written
    FIRST = "first"  # the first half of a frame
    SECOND = "second"


class Made(NamedTuple):
    """A frame that is finished."""

    step: int
    emitted: Emission


Turns = Generator[Wait, None, Result]  # a run from beginning to result


class Rows(Protocol):
    """Of a batch: lends each of its runs one."""

    def fits(self, frames: int) -> bool:
        """Whether a row with a prefix of so many frames may be lent now; else one that is in use is to be awaited."""

    def lend(self, branches: int, frames: int, *, forced: bool) -> GenerationState:
        """Tensors of a run that shares its frames with others.

        Args:
            branches: of guidance.
            frames: of the prefix.
            forced: with a place for codes that frames must take.
        """


def finish(run: Generator[object, None, Result]) -> Result:
    """The result of a run that is alone, so that nothing has to be computed for it."""
    while True:
        try:
            item = next(run)
        except StopIteration as end:
            result: Result = end.value
            return result
        assert not isinstance(item, Wait), "a run of a batch is driven by that batch"


def await_room(rows: Rows | None, frames: int) -> Generator[Wait, None, None]:
    """Wait until a row with a prefix of so many frames may be lent; a run that is alone needs none."""
    while rows is not None and not rows.fits(frames):
        yield Wait.ROOM
