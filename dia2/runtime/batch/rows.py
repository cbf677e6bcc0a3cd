"""Which run is in which row of a batch: rows are lent and taken back, and the halves of all in use are run."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.streams import side_stream
from dia2.generation import GenerationConfig
from dia2.runtime.batch.form import BatchForm, groups_of
from dia2.runtime.batch.memory import fits
from dia2.runtime.batch.state import BatchState, allocate
from dia2.runtime.capture import CaptureBuffers, Shapes
from dia2.runtime.forms import Form, form_of
from dia2.runtime.frame import FirstHalf, GenerationState
from dia2.runtime.graphs import EagerRunner, GraphRunner
from dia2.runtime.lease import Lease
from dia2.runtime.pool import room_for

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

RUNNERS = 16  # that are kept, by rows in use and their settings; under graphs each is a pair


class Row:
    """A row in the hands of one run: a `Lender`, and the `Runner` of its frames."""

    shared = True
    ahead = False

    def __init__(self, rows: BatchRows, number: int, branches: int) -> None:
        self.number = number  # changes when the batch moves the row
        self.branches = branches  # of the run: without guidance one lane's numbers are computed for nothing
        self.config: GenerationConfig | None = None  # in force; `None`: not at its first frame yet
        self.taps: CaptureBuffers | None = None  # of who observes
        self.gone = False  # somebody else may be in it
        self.forced = False  # frames may have to take codes that are given
        self.gen: Callable[[], GenerationState | None] = lambda: None  # weakly: it holds the lease, which holds this
        self._rows = rows

    def buffers(self, shapes: Shapes) -> CaptureBuffers:
        """See `Lender`."""
        return self._rows.rings_for(self, shapes)

    def runner(
        self, _: RuntimeContext, config: GenerationConfig, buffers: CaptureBuffers | None, *, forced: bool
    ) -> Row:
        """See `Lender`."""
        self.config, self.taps, self.forced = config, buffers, forced
        return self

    def first(self) -> FirstHalf:
        """See `Runner`: what the batch has computed."""
        return self._rows.first_of(self)

    def second(self) -> None:
        """See `Runner`: the batch computes it."""

    def action(self) -> int:
        """See `Runner`."""
        return self._rows.actions[self.number]


class RowTaps:
    """`Taps` of several rows: each one's part of a value goes into its own rings."""

    def __init__(self, parts: Sequence[tuple[slice, CaptureBuffers]]) -> None:
        self._parts = parts  # lanes, and who wants their values

    def wants(self, name: str) -> bool:
        """See `Taps`."""
        return any(buffers.wants(name) for _, buffers in self._parts)

    def keep_row_on_device(self) -> None:
        """See `Taps`."""
        for _, buffers in self._parts:
            buffers.keep_row_on_device()

    def put(self, name: str, value: Tensor, lanes: int = 0) -> None:
        """See `Taps`."""
        for part, buffers in self._parts:
            buffers.put(name, value.narrow(lanes, part.start, part.stop - part.start))


class Place:
    """One run's way to its row, which it leaves even if the run itself never came to say so."""

    def __init__(self, rows: BatchRows) -> None:
        self._rows = rows
        self._row: Row | None = None

    def lend(self, branches: int, frames: int, *, forced: bool) -> GenerationState:
        """See `Rows`."""
        self._row, gen = self._rows.lend(branches, frames, forced=forced)
        return gen

    def leave(self) -> None:
        """The run is over."""
        if self._row is not None:
            self._rows.release(self._row)


class BatchRows:
    """The rows of a batch. Those in use stand first, in any order."""

    def __init__(self, runtime: RuntimeContext, *, branches: int, most: int, graphs: bool) -> None:
        """Begin with none.

        Args:
            runtime: the checkpoint.
            branches: lanes of each row: 2 as soon as one of them has guidance.
            most: rows at a time.
            graphs: compute frames as CUDA graphs, where the device has them.
        """
        self.device = runtime.device
        self.actions: list[int] = []  # of the frame whose first half was run last
        self._runtime, self._branches, self.most = runtime, branches, most
        self._backend = runtime.pool.backend() if graphs and runtime.pool.backend is not None else None
        if graphs and self._backend is None:
            logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
        self._state: BatchState | None = None
        self._room = 0  # frames of prefix
        self._rows: list[Row] = []
        self._left: list[Row] = []
        self._rings: list[tuple[CaptureBuffers, Row | None]] = []  # and who writes to them
        self._runners: dict[object, tuple[BatchState, EagerRunner]] = {}  # the one used last stands last
        self._runner: EagerRunner | None = None  # of the frame under way
        self._out: FirstHalf | None = None

    # Lending

    def lend(self, branches: int, frames: int, *, forced: bool) -> tuple[Row, GenerationState]:
        """A row, and the tensors that are its own; see `Rows`.

        Raises:
            UsageError: the batch was made for rows without guidance.
            RuntimeError: there is no memory for another row; the others are as they were.
        """
        self.settle()
        if branches > self._branches:
            raise UsageError("This batch was begun without guidance: a row with guidance needs another one.")
        state = self._with_room(len(self._rows) + 1, frames)
        number = len(self._rows)
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
        self._rows.append(row)
        return row, gen

    def release(self, row: Row) -> None:
        """A run is over. Called by the garbage collector, too, so at any time and by any thread: see `settle`."""
        self._left.append(row)

    def settle(self) -> None:
        """Close the gaps that runs have left: the last row takes the place of one that is free."""
        while self._left:
            row = self._left.pop()
            if row.gone:  # said by its lease, and by its place
                continue
            row.gone = True
            self._rings = [(rings, None if user is row else user) for rings, user in self._rings]
            state, last = self._state, self._rows.pop()
            assert state is not None, "there was a row"
            self._wait_for_recorders()
            if last is not row:
                state.move(last.number, row.number)
                self._rows[row.number] = last
                self._place(last, row.number)
            state.vacate(len(self._rows))

    def rings_for(self, row: Row, shapes: Shapes) -> CaptureBuffers:
        """Rings of these shapes; those that a run before has left, if there are any, as graphs know their addresses."""
        free = (number for number, (rings, user) in enumerate(self._rings) if user is None and rings.shapes == shapes)
        number = next(free, len(self._rings))
        rings = CaptureBuffers(shapes, self.device) if number == len(self._rings) else self._rings[number][0]
        self._rings[number : number + 1] = [(rings, row)]
        return rings

    def may_grow(self) -> bool:
        """Whether one row more is planned for, and as far as is known there is memory for it."""
        self.settle()
        rows = len(self._rows)
        if rows >= self.most:
            return False
        if not rows or (self._state is not None and rows < self._state.capacity[0]):
            return True  # a row alone tries what a single run would try
        return fits(self._runtime, self._next_size(rows + 1), self._branches, self._room)

    def _with_room(self, rows: int, frames: int) -> BatchState:
        """The state, with capacity for so many rows and for a prefix of so many frames."""
        state = self._state
        graphed = self._backend is not None
        room = max(self._room, room_for(frames, self._runtime.frame_rate) if graphed else frames)
        if state is None or state.capacity[0] < rows or room > self._room:
            capacity = self.most if graphed else max(self._next_size(rows), 0 if state is None else state.capacity[0])
            grown = allocate(self._runtime, capacity, self._branches, room)
            if state is not None:
                self._wait_for_recorders()
                for row in self._rows:
                    grown.take(state, row.number, row.number)
            self._state, self._room = state, _ = grown, room
            self._runners.clear()
            self._runner = self._out = None
            for row in self._rows:
                self._place(row, row.number)
        return state

    def _wait_for_recorders(self) -> None:
        """What they still copy of a row, on a stream of their own, is not to be overwritten, nor its memory freed."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).wait_stream(side_stream(self.device, "capture"))

    def _next_size(self, rows: int) -> int:
        """Rows to make room for: as many again, so that few copies are made."""
        return min(self.most, 1 << (rows - 1).bit_length())

    def _place(self, row: Row, number: int) -> None:
        gen = row.gen()
        row.number = number
        if gen is not None and self._state is not None:
            self._state.place(gen, number)

    # Frames

    def first(self) -> None:
        """Run the first half of a frame of all rows."""
        self.settle()
        self._runner = runner = self._runner_now()
        self._out = runner.first()
        if runner.ahead:
            runner.second()
        self.actions = runner.actions()

    def second(self) -> None:
        """Run the second half."""
        assert self._runner is not None, "after the first"
        if not self._runner.ahead:
            self._runner.second()

    def first_of(self, row: Row) -> FirstHalf:
        """A row's part of what the first half gave."""
        assert self._out is not None, "after the first half"
        return FirstHalf(self._out.hidden[self._lanes(row)], self._out.action[row.number], self._out.cb0[row.number])

    def _lanes(self, row: Row) -> slice:
        first = row.number * self._branches
        return slice(first, first + row.branches)

    def _runner_now(self) -> EagerRunner:
        """What runs the frame that is due: kept from one of the same rows and settings, or new."""
        state = self._state
        assert state is not None, "there is a row"
        gens = [row.gen() for row in self._rows]
        configs = [row.config for row in self._rows]
        settings = [config for config in configs if config is not None]
        assert len(settings) == len(self._rows), "all rows wait for a frame"
        count = len(self._rows)
        if self._backend is not None:
            count = min(self.most, 1 << (count - 1).bit_length())
            settings += [settings[0]] * (count - len(settings))  # rows that nobody is in
        groups = groups_of(settings)
        forced = any(row.forced for row in self._rows)
        observed = [(row, row.taps) for row in self._rows if row.taps is not None]
        how = settings[0].use_torch_compile
        key = (
            tuple((tuple(rows), c.text, c.audio, c.cfg_scale, c.cfg_filter_k) for rows, c in groups),
            *(how, forced, tuple((row.number, id(taps)) for row, taps in observed)),
        )
        kept = self._runners.pop(key, None)
        if kept is None:
            while len(self._runners) >= RUNNERS:
                del self._runners[next(iter(self._runners))]
            part = state.first(count, forced=forced)
            kept = part, self._new_runner(part, settings, observed)
        self._runners[key] = kept
        part, runner = kept
        part.calls = max(gen.calls for gen in gens if gen is not None)
        return runner

    def _new_runner(
        self, part: BatchState, settings: list[GenerationConfig], observed: Sequence[tuple[Row, CaptureBuffers]]
    ) -> EagerRunner:
        groups, model, branches = groups_of(settings), self._runtime.model, self._branches
        rows = [torch.tensor(group.rows, device=self.device) for group in groups]
        order = torch.cat(rows).argsort()

        def form() -> Form:
            return BatchForm(
                [(form_of(model, g.config), r) for g, r in zip(groups, rows, strict=True)], order, branches
            )

        taps = RowTaps([(self._lanes(row), buffers) for row, buffers in observed]) if observed else None
        config = settings[0]
        if self._backend is not None:
            return GraphRunner(self._runtime, part, config, self._backend, taps, form)
        return EagerRunner(self._runtime, part, config, taps, form)
