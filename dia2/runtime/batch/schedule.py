"""Continuous batching: runs join at any frame, go on together half by half, and leave when they are over."""

from __future__ import annotations

import contextvars
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import GEN_CLOSED, GEN_CREATED, getgeneratorstate
from typing import TYPE_CHECKING, Any

from dia2.common.errors import one_line
from dia2.common.memory import begin_device_peak, shortage
from dia2.common.stopping import Stopping
from dia2.core.reordered import reordered
from dia2.generation import GenerationInterrupted
from dia2.runtime.batch.frames import BatchFrames
from dia2.runtime.batch.memory import spare
from dia2.runtime.batch.rows import BatchRows, Place
from dia2.runtime.generator import INTERRUPTED
from dia2.runtime.turns import Rows, Wait

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

# Makes a run that shares its frames: what it waits for, and what it gives.
Begin = Callable[[Rows], Generator[Any, None, Any]]


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


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C has ended all runs; nothing comes after it."""


Event = Gave | Over | Failed | Stopped


@dataclass(eq=False)
class _Member:
    """A run in the batch."""

    key: int
    place: Place
    run: Generator[Any, None, Any]
    context: contextvars.Context  # its own: who observes it, observes no other
    waits: Wait = Wait.ROOM  # for what; known once it has begun


class Batch:
    """Runs that share their frames; belongs inside `runtime.computing()`."""

    def __init__(
        self,
        runtime: RuntimeContext,
        *,
        branches: int,
        most: int,
        graphs: bool = False,
        stopping: Stopping | None = None,
    ) -> None:
        """Begin with nobody; each run will be in a copy of the context in which the batch is made.

        Args:
            runtime: the checkpoint.
            branches: of guidance, the most that any run has.
            most: runs at a time; fewer where memory is short.
            graphs: compute frames as CUDA graphs.
            stopping: knows of Ctrl-C, where whoever drives the batch has it noted.
        """
        backend = runtime.pool.backend() if graphs and runtime.pool.backend is not None else None
        if graphs and backend is None:
            logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
        self._rows = BatchRows(runtime, branches=branches, most=most, steady=backend is not None)
        self._frames = BatchFrames(runtime, self._rows, backend)
        self._context = contextvars.copy_context()
        self._members: list[_Member] = []  # each waits for a first half, or for text; who joined last stands last
        self._joining: _Member | None = None  # it has no row yet, maybe since it waits for memory
        self._freed = False  # a run has ended since then
        self.events: deque[Event] = deque()  # what has happened, for whoever drives the batch to take
        self.stopping = stopping or Stopping()  # asked: by Ctrl-C, in whatever part of the batch
        self._lasting = ExitStack()  # what is so until the batch is closed
        self._lasting.enter_context(reordered(runtime.model, most * branches, spare(runtime)))

    def __len__(self) -> int:
        return len(self._members) + (self._joining is not None)

    def has_room(self) -> bool:
        """Whether another run may join."""
        return not self.stopping.asked and self._joining is None and self._rows.may_grow()

    def join(self, key: int, begin: Begin) -> None:
        """Let a run begin, up to its first frame; events tell if it comes no further.

        Args:
            key: by which events name it.
            begin: makes it.
        """
        context, place = self._context.copy(), Place(self._rows)
        self._freed = False
        self._joining = _Member(key, place, context.run(begin, place), context)
        with self.stopping.at_once():  # it may listen to a recording for long, and has made nothing yet
            self._go_on(self._joining)

    def frame(self) -> None:
        """Let all runs go on by a frame."""
        if self._freed:
            self._freed = False
            for member in [*([self._joining] if self._joining else []), *self._waiting_for(Wait.ROOM)]:
                self._go_on(member)
        for member in self._waiting_for(Wait.TEXT):
            self._go_on(member)
        if not self._waiting_for(Wait.FIRST):
            return
        self._first_half()
        for member in self._waiting_for(Wait.FIRST):
            self._go_on(member)
        if not self._waiting_for(Wait.SECOND):
            return
        try:
            self._frames.second()
        except Exception as error:  # noqa: BLE001  # it is every run's, and each says so
            self._fail_all(error)
        for member in self._waiting_for(Wait.SECOND):
            self._go_on(member)

    def rests(self) -> bool:
        """Whether a frame would do nothing: all runs wait for text, or for room."""
        return self._joining is None and all(member.waits is Wait.TEXT for member in self._members)

    def _waiting_for(self, what: Wait) -> list[_Member]:
        return [member for member in self._members if member.waits is what]

    def leave(self, key: int) -> None:
        """Stop a run where it is, if it is still there: nobody waits for it any more, and no event tells of it."""
        waiting = [self._joining] if self._joining else []
        for member in [*self._members, *waiting]:
            if member.key == key:
                self._drop(member)

    def end(self) -> None:
        """Let all runs end with what they have, as after Ctrl-C."""
        if self._members:
            logger.warning(INTERRUPTED)
        if self._joining is not None:  # it has made nothing yet
            self._drop(self._joining)
        for member in self._members.copy():
            if getgeneratorstate(member.run) in (GEN_CREATED, GEN_CLOSED):  # Ctrl-C came just before it was noted
                self._remove(member)
            else:
                self._go_on(member, KeyboardInterrupt())

    def close(self) -> None:
        """Stop all runs where they are, and let go of what they shared."""
        for member in [*self._members, *([self._joining] if self._joining else [])]:
            self._drop(member)
        self._frames.close()
        self._rows.close()
        self._lasting.close()

    def _drop(self, member: _Member) -> None:
        self._remove(member)
        try:
            member.context.run(member.run.close)
        except Exception as error:  # noqa: BLE001  # an observer's, say; the others are to be closed, too
            logger.warning("a run of a batch could not be closed: %s", one_line(error))

    def _first_half(self) -> None:
        """A first half changes nothing that it does not write anew: without the run that joined last it may fit."""
        while going := self._waiting_for(Wait.FIRST):
            try:
                return self._frames.first()
            except Exception as error:  # noqa: BLE001  # likewise
                if shortage(error) is None or len(going) == 1:
                    return self._fail_all(error)
                self._go_on(going[-1], error)
        return None

    def _fail_all(self, error: Exception) -> None:
        for member in self._members.copy():
            self._go_on(member, error)

    def _go_on(self, member: _Member, error: BaseException | None = None) -> None:
        """Let a run go on to what it waits for next, or to its end; `error`: comes up where it waits."""
        try:
            while True:
                given, error = error, None
                if given is None:
                    item = member.context.run(next, member.run)
                else:
                    item = member.context.run(member.run.throw, given)
                if isinstance(item, Wait):
                    if member.waits is not item and Wait.TEXT in (member.waits, item):
                        member.place.stand(item is Wait.TEXT)
                    member.waits = item
                    if member is self._joining and item is not Wait.ROOM:
                        self._joining = None
                        self._members.append(member)
                    return
                if item is not None:
                    self.events.append(Gave(member.key, item))
        except StopIteration as end:
            self.events.append(Over(member.key, end.value))
        except GenerationInterrupted as end:
            self.stopping.asked = True
            self.events.append(Failed(member.key, end))
        except Exception as failure:  # noqa: BLE001  # whatever it is, it is this run's alone
            self.events.append(Failed(member.key, failure))
        except BaseException:
            self._remove(member)
            raise
        self._remove(member)

    def _remove(self, member: _Member) -> None:
        if member is self._joining:
            self._joining = None
        else:
            self._members.remove(member)
        self._freed = True
        member.place.leave()


def drive(runtime: RuntimeContext, batch: Batch, runs: Iterable[tuple[int, Begin]]) -> Generator[Event, None, None]:
    """What happens in `batch`, frame by frame, until all of `runs` are over: each joins as soon as there is room.

    Ctrl-C, wherever it comes, ends them all, each with what it has; once more, and those that are not finished are
    dropped. `Stopped` comes last then.
    """
    waiting, more = iter(runs), True
    begin_device_peak(runtime.device)
    try:
        while more or len(batch):
            try:
                with runtime.computing():
                    if batch.stopping.asked:
                        more = False
                        batch.end()
                    while more and batch.has_room():
                        following = next(waiting, None)
                        if following is None:
                            more = False
                        else:
                            batch.join(*following)
                    if len(batch):
                        batch.frame()
                while batch.events:
                    yield batch.events.popleft()
            except KeyboardInterrupt:
                if batch.stopping.asked:
                    break
                batch.stopping.asked = True
        while batch.events:
            yield batch.events.popleft()
        if batch.stopping.asked:
            yield Stopped()
    finally:
        with runtime.computing():
            batch.close()
