"""Looking into the network while it replays: what stands at the points of the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dia2.common.reading import Reading
from dia2.core.acts import BlockWrites, Read, Writes, Written
from dia2.core.config import DiaConfig
from dia2.core.layers import attention_weights
from dia2.core.transformer import Attention, Block
from dia2.runtime.activation_point import Point

_OF_ATTENTION = ("q", "k", "v", "pattern")


def sizes(config: DiaConfig, branches: int, slots: int) -> dict[str, int]:
    """What the names in the shapes of the registry stand for, in a replay that reads so many slots."""
    decoder, depformer, stages = config.model.decoder, config.model.depformer, len(config.weights_schedule)
    return {
        "B": branches,
        "n_embd": decoder.n_embd,
        "heads": decoder.gqa_query_heads,
        "kv_heads": decoder.kv_heads,
        "head_dim": decoder.gqa_head_dim,
        "slots": slots,
        "K-1": stages,
        "dep_embd": depformer.n_embd,
        "dep_heads": depformer.gqa_query_heads,
        "dep_head_dim": depformer.gqa_head_dim,
        "layers": decoder.n_layer,
        "depformer layers": depformer.n_layer if stages else 0,
    }


class Looker:
    """What is read in one replay, pass by pass."""

    def __init__(self, wanted: Sequence[Reading]) -> None:
        self._names = {Point.of(reading.name): reading.name for reading in wanted}
        self.depformer = any(part.startswith("dep.") for part, _ in self._names)  # something is read there
        self._shapes = {reading.name: reading.shape for reading in wanted}

    @contextmanager
    def transformer(
        self, blocks: nn.ModuleList, rows: Tensor, into: dict[str, Tensor], writes: Writes | None = None
    ) -> Iterator[Writes | None]:
        """Look on while one pass of the transformer runs.

        Args:
            blocks: its layers.
            rows: [n] int64, the frames of the pass that are kept.
            into: takes each activation by its name, [n, B, …] float32 on the CPU.
            writes: what is written in the pass.

        Yields:
            What to give the transformer in place of `writes`.
        """

        def keep(name: str) -> Callable[[Tensor], None]:
            def look(x: Tensor) -> None:  # [B, T, …]
                into[name] = x[:, rows].transpose(0, 1).float().cpu()

            return look

        with ExitStack() as hooks:
            for number, block in enumerate(blocks):
                names = {part: name for part in _OF_ATTENTION if (name := self._names.get(Point(part, number)))}
                if names:
                    assert isinstance(block, Block), "what the transformer is made of"
                    hook = _attention_hook(names, rows, into, self._shapes)
                    hooks.enter_context(block.attn.register_forward_hook(hook))
            yield self._around(len(blocks), keep, writes)

    def _around(
        self, layers: int, keep: Callable[[str], Callable[[Tensor], None]], writes: Writes | None
    ) -> Writes | None:
        """`writes` with a look after each."""
        given = Writes() if writes is None else writes
        ends = {part: self._at(Point(part, None), keep, getattr(given, part)) for part in ("embed", "hidden")}
        blocks = self._blocks("", [given.layer(number) for number in range(layers)], keep)
        if not blocks and ends == {"embed": None, "hidden": None}:
            return writes
        return Writes(ends["embed"], blocks, ends["hidden"])

    def _blocks(
        self, of: str, before: Sequence[BlockWrites | None], keep: Callable[[str], Callable[[Tensor], None]]
    ) -> tuple[BlockWrites | None, ...]:
        """By layer what is written `before`, with a look after each; `of` the depformer, `dep.`, or the transformer."""
        found: list[BlockWrites | None] = []
        for number, written in enumerate(before):
            parts = (written or BlockWrites())._asdict().items()
            block = BlockWrites(*(self._at(Point(of + part, number), keep, write) for part, write in parts))
            found.append(None if block == BlockWrites() else block)
        return tuple(found) if any(found) else ()

    def _at(
        self, point: Point, keep: Callable[[str], Callable[[Tensor], None]], write: Written | None
    ) -> Written | None:
        name = self._names.get(point)
        return write if name is None else Read(keep(name), write)

    def stages(
        self, layers: int, size: tuple[int, int], into: dict[str, Tensor], writes: Writes | None = None
    ) -> tuple[BlockWrites | None, ...]:
        """What to give the depformer while it computes all stages of n frames, so that it is looked at.

        Args:
            layers: how many it has.
            size: n and B; the pass has n · B rows.
            into: takes each activation by its name, [n, B, K-1, …] float32 on the CPU.
            writes: what is written in the pass.
        """

        def keep(name: str) -> Callable[[Tensor], None]:
            def look(x: Tensor) -> None:  # [n · B, K-1, …]
                into[name] = x.float().cpu().reshape(*size, *self._shapes[name][1:])

            return look

        given = () if writes is None else writes.stages
        return self._blocks("dep.", given or [None] * layers, keep)

    def unknown(self, calls: int) -> dict[str, Tensor]:
        """What the depformer's activations are in calls that it is not asked in: NaN."""
        return {
            name: torch.full((calls, *self._shapes[name]), torch.nan)
            for (part, _), name in self._names.items()
            if part.startswith("dep.")
        }


def _attention_hook(
    names: Mapping[str, str], rows: Tensor, into: dict[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> Callable[..., None]:
    """Keeps what attention compares, by the part of each name."""

    def hook(module: Attention, inputs: tuple[Any, ...], _: Tensor) -> None:
        x, turn, span, mask = inputs[:4]
        query, (key, value) = module.project(x, turn)  # [B, Hq, T, D], [B, Hkv, T, D]
        for part, heads in (("q", query), ("k", key), ("v", value)):
            if part in names:
                into[names[part]] = heads[:, :, rows].permute(2, 0, 1, 3).float().cpu()
        if "pattern" in names:
            seen = mask[: query.shape[2]][rows] == 0  # [n, L]: every group of query heads has the same
            weights = attention_weights(query[:, :, rows], key if span is None else span.keys, seen)
            slots = shapes[names["pattern"]][-1]
            padded = nn.functional.pad(weights, (0, slots - weights.shape[-1]))  # later slots are not seen
            into[names["pattern"]] = padded.permute(2, 0, 1, 3).cpu()

    return hook
