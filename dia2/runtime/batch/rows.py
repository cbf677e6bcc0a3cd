"""Which run is in which row of a batch: rows are lent and taken back, and no gap is left."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from dia2.common.errors import UsageError
from dia2.core.acts import Writes
from dia2.core.config import DiaConfig
from dia2.core.streams import side_stream
from dia2.generation import GenerationConfig
from dia2.runtime.batch.memory import fits, planned_rows
from dia2.runtime.batch.state import BatchState, allocate
from dia2.runtime.batch.writes import BatchWrites
from dia2.runtime.capture import CaptureBuffers, Shapes
from dia2.runtime.frame import FirstHalf, GenerationState
from dia2.runtime.lease import Lease
from dia2.runtime.pool import room_for
from dia2.runtime.written import Written

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext


class Row:
    """A row in the hands of one run: a `Lender`, and the `Runner` of its frames."""

    shared = True
    ahead = False
    out: FirstHalf  # its part of the frame whose first half was run last
    drawn: int  # the action there
    config: GenerationConfig  # in force; known when it waits for its first frame

    def __init__(self, rows: BatchRows, number: int, branches: int) -> None:
        self.number = number  # changes when the batch moves the row
        self.branches = branches  # of the run: without guidance one lane's numbers are computed for nothing
        self.taps: CaptureBuffers | None = None  # of who observes
        self.written: Written | None = None  # activations that the run edits
        self.gone = False  # somebody else may be in it
        self.forced = False  # frames may have to take codes that are given
        self.still = False  # frames of the others leave it as it is
        self.gen: Callable[[], GenerationState | None] = lambda: None  # weakly: it holds the lease, which holds this
        self._rows = rows

    @property
    def calls(self) -> int:
        """Made so far."""
        gen = self.gen()
        return 0 if gen is None else gen.calls

    def buffers(self, shapes: Shapes) -> CaptureBuffers:
        """See `Lender`."""
        return self._rows.rings_for(self, shapes)

    def write(self, _: DiaConfig, written: Written) -> None:
        """See `Lender`: the batch writes for all of its rows."""
        self.written = written
        self._rows.rewrite()

    def runner(
        self,
        _: RuntimeContext,
        config: GenerationConfig,
        buffers: CaptureBuffers | None,
        writes: Writes | None,
        *,
        forced: bool,
    ) -> Row:
        """See `Lender`."""
        self.config, self.taps, self.forced = config, buffers, forced
        return self

    def first(self) -> FirstHalf:
        """See `Runner`: the batch has computed it."""
        return self.out

    def second(self) -> None:
        """See `Runner`: the batch computes it."""

    def action(self) -> int:
        """See `Runner`."""
        return self.drawn


class Place:
    """One run's way to its row, which it leaves even if the run itself never came to say so."""

    def __init__(self, rows: BatchRows) -> None:
        self._rows = rows
        self._row: Row | None = None

    def fits(self, frames: int) -> bool:
        """See `Rows`."""
        return self._rows.fits(frames)

    def lend(self, branches: int, frames: int, *, forced: bool) -> GenerationState:
        """See `Rows`."""
        self._row, gen = self._rows.lend(branches, frames, forced=forced)
        return gen

    def stand(self, still: bool) -> None:
        """Let frames of the others leave the run as it is, or no longer."""
        if self._row is not None:
            self._rows.stand(self._row, still)

    def leave(self) -> None:
        """The run is over."""
        if self._row is not None:
            self._rows.release(self._row)


class BatchRows:
    """The rows of a batch. Those in use stand first, in any order."""

    def __init__(self, runtime: RuntimeContext, *, branches: int, most: int, steady: bool = False) -> None:
        """Begin with none.

        Args:
            runtime: the checkpoint.
            branches: lanes of each row: 2 as soon as one of them has guidance.
            most: rows at a time; fewer where memory is short.
            steady: for graphs, which know where all tensors are: make all rows at once, each with room for the usual
                prefix. Else tensors grow with what joins.
        """
        self.used: list[Row] = []  # by number
        self.on_growth: Callable[[], object] = lambda: None  # told when all tensors are others
        self.writes = BatchWrites(runtime.config, runtime.device)
        self._runtime, self._branches, self._steady = runtime, branches, steady
        self._room = room_for(0, runtime.frame_rate) if steady else 0  # frames of prefix
        self._most = planned_rows(runtime, most, branches, self._room)
        self._state: BatchState | None = None
        self._left: list[Row] = []
        self._rings: list[tuple[CaptureBuffers, Row | None]] = []  # and who writes to them

    @property
    def state(self) -> BatchState:
        """The tensors of all rows."""
        assert self._state is not None, "once there was a row"
        return self._state

    def lanes(self, row: Row) -> slice:
        """Which lanes are the row's."""
        first = row.number * self._branches
        return slice(first, first + row.branches)

    def lend(self, branches: int, frames: int, *, forced: bool) -> tuple[Row, GenerationState]:
        """A row, and the tensors that are its own; see `Rows`.

        Raises:
            UsageError: the batch was made for rows without guidance.
            RuntimeError: there is no memory for another row; the others are as they were.
        """
        self.settle()
        if branches > self._branches:
            raise UsageError("This batch was begun without guidance: a row with guidance needs another one.")
        state = self._with_room(len(self.used) + 1, frames)
        number = len(self.used)
        row = Row(self, number, branches)
        gen = GenerationState(
            step_tokens=state.step_tokens[:branches],
            audio_buf=state.audio_buf,
            decode=state.decode,
            text=state.text,
            step=state.step,
            call=state.call,
            uniforms=state.uniforms,
            delays=state.delays,
            specials=state.specials,
            forced=state.forced if forced else None,
            lease=Lease[Row](self, row),
        )
        state.place(gen, number)
        state.used[number] = 1
        row.gen = weakref.ref(gen)
        self.used.append(row)
        return row, gen

    def release(self, row: Row) -> None:
        """A run is over. Called by the garbage collector, too, so at any time and by any thread: see `settle`."""
        self._left.append(row)

    def settle(self) -> None:
        """Close the gaps that runs have left: the last row takes the place of one that is free."""
        left = False
        while self._left:
            row = self._left.pop()
            if row.gone:  # said by its lease, and by its place
                continue
            row.gone = True
            gen = row.gen()
            if gen is not None:
                gen.drop()
            self._rings = [(rings, None if user is row else user) for rings, user in self._rings]
            last = self.used.pop()
            self._wait_for_recorders()
            if last is not row:
                self.state.move(last.number, row.number)
                self.used[row.number] = last
                self._place(last, row.number)
            self.state.vacate(len(self.used))
            left = True
        if left:
            self.rewrite()

    def rewrite(self) -> None:
        """Rows with edits of activations have come, gone or moved."""
        rows = [(self.lanes(row), row.written) for row in self.used if row.written is not None]
        self.writes.refresh(self.state.capacity[0] * self._branches, rows)

    def stand(self, row: Row, still: bool) -> None:
        """Let frames leave a row as it is, or no longer: what they write there is written again."""
        self.settle()
        row.still = still
        self.state.used[row.number] = int(not still)

    def rings_for(self, row: Row, shapes: Shapes) -> CaptureBuffers:
        """Rings of these shapes; those that a run before has left, if there are any, as graphs know their addresses."""
        free = (number for number, (rings, user) in enumerate(self._rings) if user is None and rings.shapes == shapes)
        number = next(free, len(self._rings))
        rings = CaptureBuffers(shapes, self._runtime.device) if number == len(self._rings) else self._rings[number][0]
        self._rings[number : number + 1] = [(rings, row)]
        return rings

    def may_grow(self) -> bool:
        """Whether one row more is planned for, and as far as is known there is memory for it."""
        self.settle()
        rows = len(self.used) + 1
        return rows <= self._most and (not self._grows(rows, self._room) or self._size(rows, self._room) > 0)

    def fits(self, frames: int) -> bool:
        """See `Rows`; a row alone may try what a single run would try."""
        self.settle()
        rows, room = len(self.used) + 1, self._room_for(frames)
        if rows > self._most:
            return False  # who waited for text joined without a row, and others have them all by now
        return rows == 1 or not self._grows(rows, room) or self._size(rows, room) > 0

    def close(self) -> None:
        """All runs are over: let go of the tensors."""
        self.settle()
        self.used.clear()
        self._rings.clear()
        self.writes.close()
        self._state = None
        self.on_growth = lambda: None

    def _with_room(self, rows: int, frames: int) -> BatchState:
        """The state, with capacity for so many rows and for a prefix of so many frames."""
        room = self._room_for(frames)
        if self._grows(rows, room):
            if not self.used:  # so that what nobody needs any more is not held beside what takes its place
                self._state = None
                self.on_growth()
            grown = allocate(self._runtime, self._size(rows, room) or self._next_size(rows), self._branches, room)
            if self._state is not None:
                self._wait_for_recorders()
                for row in self.used:
                    grown.take(self._state, row.number, row.number)
            self._state, self._room = grown, room
            self.on_growth()
            for row in self.used:
                self._place(row, row.number)
            self.rewrite()
        return self.state

    def _grows(self, rows: int, room: int) -> bool:
        """Whether other tensors are needed for so many rows, each with so much room."""
        return self._state is None or self._state.capacity[0] < rows or room > self._room

    def _room_for(self, frames: int) -> int:
        """Frames of prefix that there is to be room for once a row has so many."""
        return max(self._room, room_for(frames, self._runtime.frame_rate) if self._steady else frames)

    def _size(self, rows: int, room: int) -> int:
        """Rows to make tensors for when so many are needed, the fewer the less memory there is; 0: it is too little."""
        least = self._next_size(rows)
        most = max(self._most if self._steady else least, 0 if self._state is None else self._state.capacity[0])
        return next((size for size in (most, least) if fits(self._runtime, size, self._branches, room)), 0)

    def _wait_for_recorders(self) -> None:
        """What they still copy of a row, on a stream of their own, is not to be overwritten, nor its memory freed."""
        if self._runtime.device.type == "cuda":
            torch.cuda.current_stream(self._runtime.device).wait_stream(side_stream(self._runtime.device, "capture"))

    def _next_size(self, rows: int) -> int:
        """Rows to make room for: as many again, so that few copies are made."""
        return min(self._most, 1 << (rows - 1).bit_length())

    def _place(self, row: Row, number: int) -> None:
        gen = row.gen()
        row.number = number
        if gen is not None and self._state is not None:
            self._state.place(gen, number)
