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

    def __init__(self, places: Mapping[str, Write], needs: Iterable[Need], lanes: int, layers: int) -> None:
        """Keep what is there.

        Args:
            places: by point; of directions [lanes, r, width].
            needs: what there is room for.
            lanes: how many.
            layers: of the transformer.
        """
        self.places, self.needs, self.lanes, self._layers = dict(places), tuple(needs), lanes, layers
        self.writes = writes_of(places, layers)

    @classmethod
    def make(cls, needs: Iterable[Need], config: DiaConfig, lanes: int, device: torch.device) -> WriteBuffers:
        """Tensors that change nothing yet."""
        needs = tuple(needs)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(lanes, *shape, device=device)

        places = {}
        for point, keeps, adds, clamps in needs:
            *rows, width = shape_of(point, config)
            places[point] = Write(
                keep=zeros(1, *rows, 1) + 1 if keeps else None,
                add=zeros(1, *rows, width) if adds else None,
                directions=zeros(clamps, width) if clamps else None,
                values=zeros(1, clamps) if clamps else None,
                on=zeros(1, clamps) if clamps else None,
            )
        return cls(places, needs, lanes, config.model.decoder.n_layer)

    def part(self, lanes: slice) -> WriteBuffers:
        """Some lanes, in the same memory."""
        places = {
            point: Write(*(None if tensor is None else tensor[lanes] for tensor in write))
            for point, write in self.places.items()
        }
        return WriteBuffers(places, self.needs, lanes.stop - lanes.start, self._layers)

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
    """Of the activation at a point, without branches and frames: (width,), of heads (heads, head_dim)."""
    block = config.model.decoder
    return (block.gqa_query_heads, block.gqa_head_dim) if Point.of(point).part == "heads" else (block.n_embd,)


def writes_of(places: Mapping[str, Write], layers: int) -> Writes:
    """What stands at points, as the transformer takes it."""
    ends: dict[str, Write] = {}
    blocks: dict[int, BlockWrites] = {}
    for name, write in places.items():
        part, layer = Point.of(name)
        if layer is None:
            ends[part] = write
        else:
            blocks[layer] = blocks.get(layer, BlockWrites())._replace(**{part: write})
    listed = tuple(blocks.get(number) for number in range(layers)) if blocks else ()
    return Writes(ends.get("embed"), listed, ends.get("hidden"))
