"""A run's edits of activations, as the network takes them: tensors that stay where they are, filled before each call.

CUDA graphs replay operations on memory, so what changes from call to call is what stands in it: another strength, or
another call, needs no new graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.acts import BlockWrites, Write, Writes
from dia2.core.config import DiaConfig
from dia2.runtime.activations import Ablate, ActivationEdit, Clamp, Patch, Point, Steer, Vector


class Written:
    """What is written in the calls of one run."""

    def __init__(
        self, edits: Sequence[ActivationEdit], config: DiaConfig, *, branches: int, device: torch.device
    ) -> None:
        """Make the tensors, for one frame a call.

        Args:
            edits: in the order in which they are done at one point; clamps come last.
            config: of the checkpoint.
            branches: of guidance, B.
            device: the network's.

        Raises:
            UsageError: an edit does not fit the checkpoint.
        """
        points: dict[str, list[ActivationEdit]] = {}
        for edit in edits:
            points.setdefault(edit.point, []).append(edit)
        self._places = [_Place(name, given, config, branches, device) for name, given in points.items()]

    @property
    def writes(self) -> Writes:
        """For `TransformerDecoder.forward`."""
        ends = {"embed": Writes().embed, "hidden": Writes().hidden}
        layers: dict[int, BlockWrites] = {}
        count = 0
        for place in self._places:
            part, layer = place.point
            if layer is None:
                ends[part] = place.write
            else:
                layers[layer] = layers.get(layer, BlockWrites())._replace(**{part: place.write})
            count = place.layers
        listed = tuple(layers.get(number) for number in range(count)) if layers else ()
        return Writes(ends["embed"], listed, ends["hidden"])

    def at(self, call: int, word: int | None, speaker: int | None) -> None:
        """Fill the tensors for a call.

        Args:
            call: counted from 0, over warm-up and main loop.
            word: number of the last word that the machine has taken; `None`: none yet.
            speaker: of that word.
        """
        for place in self._places:
            place.fill(call, word, speaker)


class _Place:
    """One point, with all that is done there."""

    def __init__(
        self, name: str, edits: Sequence[ActivationEdit], config: DiaConfig, branches: int, device: torch.device
    ) -> None:
        block = config.model.decoder
        self.point, self.layers = Point.of(name), block.n_layer
        if self.point.layer is not None and self.point.layer >= block.n_layer:
            raise UsageError(f"There is no {name}: the checkpoint has layers 0 … {block.n_layer - 1}.")
        heads = self.point.part == "heads"
        self._shape = (block.gqa_query_heads, block.gqa_head_dim) if heads else (block.n_embd,)
        self._moves = [edit for edit in edits if not isinstance(edit, Clamp)]
        self._clamps = [edit for edit in edits if isinstance(edit, Clamp)]
        for edit in edits:
            self._check(edit)
        self._branches = branches
        self._now: tuple[object, ...] | None = None  # what the tensors hold

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(branches, 1, *shape, device=device)

        takes = any(not isinstance(edit, Steer) for edit in self._moves)
        directions = [edit.direction.tensor / edit.direction.tensor.norm() for edit in self._clamps]
        values = torch.tensor([edit.value for edit in self._clamps], device=device)
        clamps = len(self._clamps)
        self.write = Write(
            keep=zeros(*self._shape[:-1], 1) if takes else None,
            add=zeros(*self._shape) if self._moves else None,
            directions=torch.stack(directions).to(device) if clamps else None,
            values=values.expand(branches, 1, clamps) if clamps else None,
            on=zeros(clamps) if clamps else None,
        )

    def _check(self, edit: ActivationEdit) -> None:
        width = torch.Size(self._shape).numel()
        vector = _vector_of(edit)
        if vector is not None and vector.tensor.shape[-1] != width:
            kind = type(edit).__name__
            raise UsageError(
                f"{kind} has {vector.tensor.shape[-1]} numbers, and {edit.point} has {width}: the vector is of another "
                "checkpoint or point."
            )
        heads = edit.heads if isinstance(edit, Ablate | Patch) else None
        if heads is not None and max(heads) >= self._shape[0]:
            raise UsageError(f"There is no head {max(heads)} in {edit.point}: it has heads 0 … {self._shape[0] - 1}.")

    def fill(self, call: int, word: int | None, speaker: int | None) -> None:
        """For this call."""
        here = [self._row(edit, call, word, speaker) for edit in self._moves]
        clamped = [edit.where.holds(call, word, speaker) for edit in self._clamps]
        now = (*here, *clamped)
        if now == self._now:
            return
        self._now = now
        if self.write.add is not None:
            self._move(here)
        if self.write.on is not None:
            on = torch.zeros(self._branches, 1, len(clamped))
            for number, (edit, holds) in enumerate(zip(self._clamps, clamped, strict=True)):
                on[edit.where.lanes(self._branches), :, number] = float(holds)
            self.write.on.copy_(on)

    def _row(self, edit: ActivationEdit, call: int, word: int | None, speaker: int | None) -> int | None:
        """Which row of an edit's numbers counts in a call; `None`: it does nothing there."""
        if not edit.where.holds(call, word, speaker):
            return None
        if not isinstance(edit, Patch):
            return 0
        row = call - edit.first
        return row if 0 <= row < len(edit.values.tensor) else None

    def _move(self, rows: Sequence[int | None]) -> None:
        """Add up what scales and adds, in order."""
        keep = torch.ones(self._branches, 1, *self._shape[:-1], 1)
        add = torch.zeros(self._branches, 1, *self._shape)
        for edit, row in zip(self._moves, rows, strict=True):
            if row is None:
                continue
            lanes = edit.where.lanes(self._branches)
            vector = _vector_of(edit)
            numbers = torch.zeros(self._shape) if vector is None else vector.tensor.view(-1, *self._shape)[row]
            if isinstance(edit, Steer):
                add[lanes] += edit.scale * numbers
                continue
            heads = edit.heads if isinstance(edit, Ablate | Patch) else None
            which = slice(None) if heads is None else list(heads)
            if self.point.part == "heads":
                keep[lanes, :, which], add[lanes, :, which] = 0.0, numbers[which]
            else:
                keep[lanes], add[lanes] = 0.0, numbers
        if self.write.keep is not None:
            self.write.keep.copy_(keep)
        assert self.write.add is not None, "made for whatever moves"
        self.write.add.copy_(add)


def _vector_of(edit: ActivationEdit) -> Vector | None:
    """The numbers of an edit; `None`: it has none, and puts zero."""
    found: Vector | None
    match edit:
        case Steer():
            found = edit.vector
        case Ablate():
            found = edit.to
        case Patch():
            found = edit.values
        case Clamp():
            found = edit.direction
    return found
