"""Continuous batching: runs join at any frame, go on together half by half, and leave when they are over."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dia2.common.errors import one_line
from dia2.common.memory import shortage
from dia2.generation import GenerationInterrupted
from dia2.runtime.batch.frames import BatchFrames
from dia2.runtime.batch.rows import BatchRows, Place
from dia2.runtime.turns import Half, Rows

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

Begin = Callable[[Rows], Generator[Any, None, Any]]  # makes a run that shares its frames: halves, and what it gives


@dataclass(frozen=True)
class Gave:
    """A run gave something and goes on: a piece of a stream."""

    key: int
    item: Any


@dataclass(frozen=True)
class Over:
    """A run is over."""

    key: int
    result: Any


@dataclass(frozen=True)
class Failed:
    """A run ended with an error, `GenerationInterrupted` included."""

    key: int
    error: BaseException


Event = Gave | Over | Failed


@dataclass(frozen=True, eq=False)
class _Member:
    """A run in the batch."""

    key: int
    place: Place
    run: Generator[Any, None, Any]
    context: contextvars.Context  # its own: who observes it, observes no other


class Batch:
    """Runs that share their frames; belongs inside `runtime.computing()`."""

    def __init__(self, runtime: RuntimeContext, *, branches: int, most: int, graphs: bool = False) -> None:
        """Begin with nobody.

        Args:
            runtime: the checkpoint.
            branches: of guidance, the most that any run has.
            most: runs at a time; fewer where memory is short.
            graphs: compute frames as CUDA graphs.
        """
        backend = runtime.pool.backend() if graphs and runtime.pool.backend is not None else None
        if graphs and backend is None:
            logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
        self._rows = BatchRows(runtime, branches=branches, most=most, steady=backend is not None)
        self._frames = BatchFrames(runtime, self._rows, backend)
        self._members: list[_Member] = []  # each waits for a first half; who joined last stands last
        self._events: list[Event] = []
        self.interrupted = False  # by Ctrl-C, in whatever part of it

    def __len__(self) -> int:
        return len(self._members)

    def has_room(self) -> bool:
        """Whether another run may join."""
        return not self.interrupted and self._rows.may_grow()

    def join(self, key: int, begin: Begin) -> None:
        """Let a run begin, up to its first frame; events tell if it comes no further.

        Args:
            key: by which events name it.
            begin: makes it; in a copy of the caller's context, and so is all of the run.
        """
        context, place = contextvars.copy_context(), Place(self._rows)
        member = _Member(key, place, context.run(begin, place), context)
        self._members.append(member)
        try:
            self._go_on(member)
        except KeyboardInterrupt:  # it has made nothing yet; the others end with what they have
            self.interrupted = True

    def frame(self) -> None:
        """Let all runs go on by a frame. Ctrl-C ends them all, each with what it has."""
        try:
            if not self.interrupted:
                self._frame()
        except KeyboardInterrupt:
            self.interrupted = True
        if self.interrupted:
            for member in self._members.copy():
                self._go_on(member, KeyboardInterrupt())

    def events(self) -> list[Event]:
        """What has happened since this was asked for last."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End all runs where they are."""
        for member in self._members.copy():
            self._remove(member)
            try:
                member.context.run(member.run.close)
            except Exception as error:  # noqa: BLE001  # an observer's, say; the others are to be closed, too
                logger.warning("a run of a batch could not be closed: %s", one_line(error))

    def _frame(self) -> None:
        self._first_half()
        for member in self._members.copy():
            self._go_on(member)
        if not self._members:
            return
        try:
            self._frames.second()
        except Exception as error:  # noqa: BLE001  # it is every run's, and each says so
            self._fail_all(error)
        for member in self._members.copy():
            self._go_on(member)

    def _first_half(self) -> None:
        """A first half changes nothing that it does not write anew: without the run that joined last it may fit."""
        while self._members:
            try:
                return self._frames.first()
            except Exception as error:  # noqa: BLE001  # likewise
                if shortage(error) is None or len(self._members) == 1:
                    return self._fail_all(error)
                self._go_on(self._members[-1], error)
        return None

    def _fail_all(self, error: Exception) -> None:
        for member in self._members.copy():
            self._go_on(member, error)

    def _go_on(self, member: _Member, error: BaseException | None = None) -> None:
        """Let a run go on to the half that it needs next, or to its end; `error`: comes up where it waits."""
        try:
            while True:
                given, error = error, None
                if given is None:
                    item = member.context.run(next, member.run)
                else:
                    item = member.context.run(member.run.throw, given)
                if isinstance(item, Half):
                    return
                if item is not None:
                    self._events.append(Gave(member.key, item))
        except StopIteration as end:
            self._events.append(Over(member.key, end.value))
        except GenerationInterrupted as end:
            self.interrupted = True
            self._events.append(Failed(member.key, end))
        except Exception as failure:  # noqa: BLE001  # whatever it is, it is this run's alone
            self._events.append(Failed(member.key, failure))
        except BaseException:
            self._remove(member)
            raise
        self._remove(member)

    def _remove(self, member: _Member) -> None:
        self._members.remove(member)
        member.place.leave()


def drive(runtime: RuntimeContext, batch: Batch, runs: Iterable[tuple[int, Begin]]) -> Iterator[Event]:
    """What happens in `batch`, frame by frame, until all of `runs` are over: each joins as soon as there is room."""
    waiting = iter(runs)
    more = True
    try:
        while more or len(batch):
            with runtime.computing():
                while more and batch.has_room():
                    following = next(waiting, None)
                    if following is None:
                        more = False
                    else:
                        batch.join(*following)
                if len(batch):
                    batch.frame()
                more = more and not batch.interrupted
            yield from batch.events()
    finally:
        with runtime.computing():
            batch.close()
