"""Where a run's edits of activations stand for the network: tensors that stay in place, for one frame a call.

CUDA graphs replay operations on memory, so what changes from call to call is what stands in it: another strength,
another vector or another call needs no new graph. Only other `Need`s do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from dia2.core.acts import BlockWrites, Write, Writes
from dia2.core.config import DiaConfig
from dia2.runtime.activations import Point


class Need(NamedTuple):
    """What happens at a point: it decides the operations there."""

    point: str
    keeps: bool  # it is scaled
    adds: bool  # something is added
    clamps: int  # directions along which it is moved


def union(needs: Iterable[Need]) -> tuple[Need, ...]:
    """What is enough for all of them, by point."""
    found: dict[str, Need] = {}
    for need in needs:
        old = found.get(need.point, Need(need.point, False, False, 0))
        found[need.point] = Need(
            need.point, old.keeps or need.keeps, old.adds or need.adds, max(old.clamps, need.clamps)
        )
    return tuple(found[point] for point in sorted(found))


class WriteBuffers:
    """The tensors of some lanes, a lane being a branch of a run."""

    def __init__(self, places: Mapping[str, Write], needs: Iterable[Need], lanes: int, config: DiaConfig) -> None:
        """Keep what is there.

        Args:
            places: by point; of directions [lanes, r, width].
            needs: what there is room for.
            lanes: how many.
            config: of the checkpoint.
        """
        self.places, self.needs, self.lanes, self._config = dict(places), tuple(needs), lanes, config
        self.writes = writes_of(places, config)

    @classmethod
    def make(cls, needs: Iterable[Need], config: DiaConfig, lanes: int, device: torch.device) -> WriteBuffers:
        """Tensors that change nothing yet."""
        needs = tuple(needs)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(lanes, *shape, device=device)

        places = {}
        for point, keeps, adds, clamps in needs:
            *rows, width = shape_of(point, config)
            frames = stages_of(point, config) or 1
            places[point] = Write(
                keep=zeros(frames, *rows, 1) + 1 if keeps else None,
                add=zeros(frames, *rows, width) if adds else None,
                directions=zeros(clamps, width) if clamps else None,
                values=zeros(frames, clamps) if clamps else None,
                on=zeros(frames, clamps) if clamps else None,
            )
        return cls(places, needs, lanes, config)

    def part(self, lanes: slice) -> WriteBuffers:
        """Some lanes, in the same memory."""
        places = {
            point: Write(*(None if tensor is None else tensor[lanes] for tensor in write))
            for point, write in self.places.items()
        }
        return WriteBuffers(places, self.needs, lanes.stop - lanes.start, self._config)

    def put(self, point: str, given: Write | None) -> None:
        """Let a point have what is `given`, of no more than it has room for; `None`: it stays as it is computed.

        What `given` has no directions for is left alone there.
        """
        place = self.places[point]
        given = given or Write()
        if place.keep is not None:
            _copy(place.keep, given.keep, 1.0)
        if place.add is not None:
            _copy(place.add, given.add, 0.0)
        if place.directions is None or place.values is None or place.on is None:
            return
        on = torch.zeros(place.on.shape)
        if given.directions is not None and given.values is not None and given.on is not None:
            clamps = given.directions.shape[-2]
            place.directions[:, :clamps].copy_(given.directions)
            place.values[..., :clamps].copy_(given.values)
            on[..., :clamps] = given.on
        place.on.copy_(on)

    def clear(self) -> None:
        """Change nothing any more."""
        for point in self.places:
            self.put(point, None)


def _copy(place: Tensor, given: Tensor | None, neutral: float) -> None:
    if given is None:
        place.fill_(neutral)
    else:
        place.copy_(given)


def shape_of(point: str, config: DiaConfig) -> tuple[int, ...]:
    """Of the activation at a point, without branches, frames and stages: (width,), of heads (heads, head_dim)."""
    found = Point.of(point)
    block = config.model.depformer if found.of_depformer else config.model.decoder
    return (block.gqa_query_heads, block.gqa_head_dim) if found.of_heads else (block.n_embd,)


def stages_of(point: str, config: DiaConfig) -> int:
    """How many stages a point of the depformer stands in; of the transformer 0."""
    return len(config.weights_schedule) if Point.of(point).of_depformer else 0


def layers_of(point: str, config: DiaConfig) -> int:
    """How many layers there are of a point's network; of a depformer that has nothing to draw none."""
    if not Point.of(point).of_depformer:
        return config.model.decoder.n_layer
    return config.model.depformer.n_layer if config.weights_schedule else 0


def writes_of(places: Mapping[str, Write], config: DiaConfig) -> Writes:
    """What stands at points, as the network takes it."""
    ends: dict[str, Write] = {}
    blocks: dict[bool, dict[int, BlockWrites]] = {False: {}, True: {}}  # by layer, of the transformer and the depformer
    for name, write in places.items():
        point = Point.of(name)
        if point.layer is None:
            ends[point.part] = write
            continue
        found, part = blocks[point.of_depformer], point.part.removeprefix("dep.")
        found[point.layer] = found.get(point.layer, BlockWrites())._replace(**{part: write})
    layers, stages = (
        tuple(found.get(number) for number in range(block.n_layer)) if found else ()
        for found, block in ((blocks[False], config.model.decoder), (blocks[True], config.model.depformer))
    )
    return Writes(ends.get("embed"), layers, ends.get("hidden"), stages)
