"""A run's edits of activations, call by call: which of them hold, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.acts import Write, Writes
from dia2.core.config import DiaConfig
from dia2.runtime.activation_json import to_json
from dia2.runtime.activations import Ablate, ActivationEdit, Clamp, Patch, Point, Steer, vector_of
from dia2.runtime.after import Before
from dia2.runtime.write_buffers import Need, WriteBuffers, layers_of, shape_of, stages_of, writes_of

Frames = tuple[Tensor] | tuple[Tensor, int]  # calls [n]; of the depformer with a stage


class Moment(NamedTuple):
    """A call, and where in the script it is."""

    call: int  # counted from 0, over warm-up and main loop
    word: int | None = None  # number of the last one that the machine has taken before it; `None`: none yet
    speaker: int | None = None  # of that word
    before: Before | None = None  # what is recorded of the call before it; `None`: there is none


class Written:
    """What is written in the calls of one run."""

    def __init__(
        self, edits: Sequence[ActivationEdit], config: DiaConfig, *, branches: int, device: torch.device
    ) -> None:
        """Check the edits against the checkpoint.

        Args:
            edits: in the order in which they are done at one point; clamps come last.
            config: of the checkpoint.
            branches: of guidance, B.
            device: the network's.

        Raises:
            UsageError: an edit does not fit the checkpoint.
            TraceError: the numbers of one lie in a trace, and cannot be read.
        """
        points: dict[str, list[ActivationEdit]] = {}
        for edit in edits:
            points.setdefault(edit.point, []).append(edit)
        self.edits = tuple(edits)
        self._places = {name: _Place(name, points[name], config, branches) for name in sorted(points)}
        self._config, self._device = config, device
        self._buffers: WriteBuffers | None = None
        self._now: Moment | None = None  # whose values stand in the buffers
        self.branches = branches

    @property
    def needs(self) -> tuple[Need, ...]:
        """What its buffers have to have room for, by point."""
        return tuple(place.need for place in self._places.values())

    def over(self, moments: Sequence[Moment]) -> Writes:
        """What is written into the transformer in T calls at once, each with its own values: tensors [B, T, …]."""
        places = {name: place.write(moments) for name, place in self._places.items() if not place.stages}
        return writes_of(self._there(places), self._config)

    def over_stages(self, moments: Sequence[Moment]) -> Writes:
        """What is written into the depformer in n calls at once, whose stages it computes side by side.

        Tensors are [n · B, K-1, …], call by call.
        """
        places = {}
        for name, place in self._places.items():
            if place.stages:
                found = place.write(moments).over_frames(lambda one: one.transpose(0, 1).flatten(0, 1))
                if found.directions is not None:
                    found = found._replace(directions=found.directions.repeat(len(moments), 1, 1))
                places[name] = found
        return writes_of(self._there(places), self._config)

    def _there(self, places: Mapping[str, Write]) -> dict[str, Write]:
        return {
            name: Write(*(None if one is None else one.to(self._device) for one in write))
            for name, write in places.items()
        }

    def into(self, buffers: WriteBuffers) -> None:
        """Have these buffers from now on, which have room for what is needed; what the run has not is taken back."""
        self._buffers = buffers
        for point in buffers.places.keys() - self._places.keys():
            buffers.put(point, None)
        for place in self._places.values():
            place.forget()
        if self._now is not None:
            self.at(self._now)

    def at(self, moment: Moment) -> None:
        """Fill the buffers for a call."""
        assert self._buffers is not None, "it has some"
        self._now = moment
        for name, place in self._places.items():
            place.fill(self._buffers, name, moment)


class _Place:
    """One point, with all that is done there."""

    def __init__(self, name: str, edits: Sequence[ActivationEdit], config: DiaConfig, branches: int) -> None:
        layers, layer = layers_of(name, config), Point.of(name).layer
        if layer is not None and layer >= layers:
            part = "depformer" if Point.of(name).of_depformer else "checkpoint"
            raise UsageError(
                f"There is no {name}: the {part} has {f'layers 0 … {layers - 1}' if layers else 'no layer'}."
            )
        self._shape, self._branches, self.stages = shape_of(name, config), branches, stages_of(name, config)
        for edit in edits:
            self._check(edit)
        self._moves = [edit for edit in edits if not isinstance(edit, Clamp)]
        self._clamps = [edit for edit in edits if isinstance(edit, Clamp)]  # which are done last
        self._directions = torch.stack([edit.unit() for edit in self._clamps]) if self._clamps else None
        takes = any(not isinstance(edit, Steer) for edit in self._moves)
        self.need = Need(name, takes, bool(self._moves), len(self._clamps))
        self._now: object = None  # what the buffers hold

    def _check(self, edit: ActivationEdit) -> None:
        width = torch.Size(self._shape).numel()
        vector = vector_of(edit)
        if vector is not None and vector.shape[-1] != width:
            kind = type(edit).__name__
            raise UsageError(
                f"{kind} has {vector.shape[-1]} numbers, and {edit.point} has {width}: the vector is of another "
                "checkpoint or point."
            )
        if edit.where.stages is not None and max(edit.where.stages) >= self.stages:
            raise UsageError(
                f"There is no stage {max(edit.where.stages)} in {edit.point}: it has stages 0 … {self.stages - 1}."
            )
        heads = edit.heads if isinstance(edit, Ablate | Patch) else None
        if heads is not None and max(heads) >= self._shape[0]:
            raise UsageError(f"There is no head {max(heads)} in {edit.point}: it has heads 0 … {self._shape[0] - 1}.")

    def forget(self) -> None:
        """The buffers are others."""
        self._now = None

    def fill(self, buffers: WriteBuffers, name: str, moment: Moment) -> None:
        """For a call, unless its values are there."""
        now = [_rows(edit, [moment]) for edit in (*self._moves, *self._clamps)]
        if now != self._now:
            self._now = now
            found = self.write([moment])
            if self.stages:  # which stand where the transformer has its frames
                found = found.over_frames(lambda one: one[:, 0])
            buffers.put(name, found)

    def write(self, moments: Sequence[Moment]) -> Write:
        """What is written in T calls, on the CPU: tensors [B, T, …], of the depformer [B, T, K-1, …]."""
        branches, frames = self._branches, (len(moments), *((self.stages,) if self.stages else ()))
        keep = torch.ones(branches, *frames, *self._shape[:-1], 1)
        add = torch.zeros(branches, *frames, *self._shape)
        for edit in self._moves:
            rows = _rows(edit, moments)
            calls = [call for call, row in enumerate(rows) if row is not None]
            if calls:
                numbers = self._numbers(edit, [row for row in rows if row is not None])
                lanes = edit.where.lanes(branches)
                for at in self._frames(edit, calls):
                    _move(edit, keep[lanes], add[lanes], at, numbers)
        if self._directions is None:
            return Write(keep if self.need.keeps else None, add if self.need.adds else None)
        on = torch.zeros(branches, *frames, len(self._clamps))
        for number, clamp in enumerate(self._clamps):
            calls = [call for call, row in enumerate(_rows(clamp, moments)) if row is not None]
            for at in self._frames(clamp, calls):
                on[(clamp.where.lanes(branches), *at, number)] = 1.0
        return Write(
            keep if self.need.keeps else None,
            add if self.need.adds else None,
            self._directions.expand(branches, -1, -1),
            torch.tensor([edit.value for edit in self._clamps]).expand(branches, *frames, -1),
            on,
        )

    def _frames(self, edit: ActivationEdit, calls: list[int]) -> Iterator[Frames]:
        """Where an edit stands in tensors [B, T, …]: in calls, of the depformer in the calls of each of its stages."""
        if not self.stages:
            yield (torch.tensor(calls, dtype=torch.int64),)
            return
        for stage in range(self.stages) if edit.where.stages is None else edit.where.stages:
            yield torch.tensor(calls, dtype=torch.int64), stage

    def _numbers(self, edit: ActivationEdit, rows: list[int]) -> Tensor:
        """Those rows of an edit's numbers, [rows, …]."""
        vector = vector_of(edit)
        if vector is None:
            return torch.zeros(len(rows), *self._shape)
        return vector.tensor.view(-1, *self._shape)[rows]


def trail(edits: Sequence[ActivationEdit], moments: Sequence[Moment]) -> str:
    """All that decides what is written in these calls, as JSON: the edits that do something there, and in which."""
    found = [(to_json(edit), _rows(edit, moments)) for edit in edits]
    return json.dumps([(edit, rows) for edit, rows in found if any(row is not None for row in rows)])


def _rows(edit: ActivationEdit, moments: Sequence[Moment]) -> list[int | None]:
    """Which row of an edit's numbers counts in each call; `None`: it does nothing there."""
    found: list[int | None] = []
    for moment in moments:
        row = moment.call - edit.first if isinstance(edit, Patch) else 0
        here = edit.where.holds(*moment) and (not isinstance(edit, Patch) or 0 <= row < edit.values.shape[0])
        found.append(row if here else None)
    return found


def _move(edit: ActivationEdit, keep: Tensor, add: Tensor, at: Frames, numbers: Tensor) -> None:
    """Let an edit come after what `keep` and `add` [branches, T, …] do already, in some frames, by its `numbers`."""
    place = (slice(None), *at)
    if isinstance(edit, Steer):
        add[place] += edit.scale * numbers
        return
    heads = edit.heads if isinstance(edit, Ablate | Patch) else None
    if heads is None:
        keep[place], add[place] = 0.0, numbers
        return
    for head in heads:
        keep[(*place, head)], add[(*place, head)] = 0.0, numbers[:, head]
