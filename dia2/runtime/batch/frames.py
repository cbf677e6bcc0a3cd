"""The frames of a batch: what runs both halves for all rows in use, kept by who is there and how they draw."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dia2.generation import GenerationConfig
from dia2.runtime.batch.form import BatchForm, groups_of
from dia2.runtime.batch.rows import BatchRows, Row
from dia2.runtime.batch.state import BatchState
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.forms import form_of
from dia2.runtime.frame import FirstHalf
from dia2.runtime.graphs import EagerRunner, GraphBackend, GraphRunner

if TYPE_CHECKING:
    from dia2.core.model import Dia2Model
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

RUNNERS = 16  # that are kept; under graphs each is a pair


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


class BatchFrames:
    """Runs frames of all rows, eagerly or by graphs."""

    def __init__(self, runtime: RuntimeContext, rows: BatchRows, backend: GraphBackend | None) -> None:
        """Note whose frames.

        Args:
            runtime: the checkpoint.
            rows: of the batch.
            backend: captures graphs; `None`: frames are computed eagerly.
        """
        self._runtime, self._rows, self._backend = runtime, rows, backend
        self._runners: dict[object, tuple[BatchState, EagerRunner]] = {}  # the one used last stands last
        self._runner: EagerRunner | None = None  # of the frame under way
        rows.on_growth = self.close  # they hold the tensors as they were

    def first(self) -> None:
        """Run the first half of a frame of all rows, and tell each what came out."""
        self._rows.settle()
        self._runner = runner = self._runner_now()
        out = runner.first()
        if runner.ahead:
            runner.second()
        for row, action in zip(self._rows.used, runner.actions(), strict=False):  # graphs know of free rows, too
            lanes = self._rows.lanes(row)
            row.out = FirstHalf(out.hidden[lanes], out.action[row.number], out.cb0[row.number])
            row.drawn = action

    def second(self) -> None:
        """Run the second half."""
        assert self._runner is not None, "after the first"
        if not self._runner.ahead:
            self._runner.second()

    def close(self) -> None:
        """Let go of what runs frames, and of the tensors in it."""
        self._runners.clear()
        self._runner = None

    def _runner_now(self) -> EagerRunner:
        """What runs the frame that is due: kept from one of the same rows and settings, or new."""
        state, used = self._rows.state, self._rows.used
        count = len(used)
        configs = [row.config for row in used]
        if self._backend is not None:
            count = min(state.capacity[0], 1 << (count - 1).bit_length())
            configs += [configs[0]] * (count - len(configs))  # rows that nobody is in
        groups = groups_of(configs)
        forced, writing = any(row.forced for row in used), self._rows.writes.buffers
        observed = [(row, row.taps) for row in used if row.taps is not None and not row.still]
        key = (
            tuple((tuple(rows), c.text, c.audio, c.cfg_scale, c.cfg_filter_k) for rows, c in groups),
            *(configs[0].use_torch_compile, forced, tuple((row.number, id(taps)) for row, taps in observed)),
            writing,
        )
        kept = self._runners.pop(key, None)
        if kept is None:
            while len(self._runners) >= RUNNERS:
                del self._runners[next(iter(self._runners))]
            part = state.first(count, forced=forced)
            part.writes = None if writing is None else writing.part(slice(0, len(part.step_tokens))).writes
            kept = part, self._new_runner(part, configs, observed)
        self._runners[key] = kept
        part, runner = kept
        part.calls = max(row.calls for row in used)
        return runner

    def _new_runner(
        self, part: BatchState, configs: Sequence[GenerationConfig], observed: Sequence[tuple[Row, CaptureBuffers]]
    ) -> EagerRunner:
        device, groups = self._runtime.device, groups_of(configs)
        rows = [torch.tensor(group.rows, device=device) for group in groups]
        order, alike = torch.cat(rows).argsort(), [group.config for group in groups]
        form = partial(_form, self._runtime.model, alike, rows, order, part.branches)
        taps = RowTaps([(self._rows.lanes(row), buffers) for row, buffers in observed]) if observed else None
        if self._backend is not None:
            return GraphRunner(self._runtime, part, configs[0], self._backend, taps, form)
        return EagerRunner(self._runtime, part, configs[0], taps, form)


def _form(
    model: Dia2Model, configs: Sequence[GenerationConfig], rows: Sequence[Tensor], order: Tensor, branches: int
) -> BatchForm:
    """Of groups of rows, as hooks in the model let it be now."""
    return BatchForm([(form_of(model, c), of) for c, of in zip(configs, rows, strict=True)], order, branches)
