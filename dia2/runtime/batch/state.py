"""The tensors of several runs side by side, and one run's part of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dia2.core.acts import Writes
from dia2.core.cache import Span, whole_rows
from dia2.core.layers import Rotation
from dia2.core.model import DecodeState
from dia2.runtime.frame import GenerationState
from dia2.runtime.generator import extent
from dia2.runtime.guidance import special_codes
from dia2.runtime.state_machine import TokenIds

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext


@dataclass
class BatchState:
    """A `FrameState` of N runs, the rows, each of which has B lanes: one for each guidance branch."""

    step_tokens: Tensor  # [N · B, 2 + K, 1] int64
    audio_buf: Tensor  # [N · B, K, columns] int64
    decode: DecodeState  # caches of N · B lanes
    text: Tensor  # [N, 2] int64
    step: Tensor  # [N] int64
    call: Tensor  # [N] int64
    uniforms: Tensor  # [N, calls, 2 + K] float32
    used: Tensor  # [N] int64: 1 where somebody is in the row; others stand still
    delays: Tensor  # [K] int64
    specials: Tensor  # [audio vocabulary] bool
    forced: Tensor | None  # [N, K] int64
    branches: int  # B
    writes: Writes | None = None  # activations that are changed; only of a part
    calls: int = 0  # most calls so far of any row, on the host

    @property
    def runs(self) -> tuple[int, ...]:
        """See `FrameState`."""
        return (len(self.step),)

    @property
    def moving(self) -> tuple[Tensor, ...]:
        """See `FrameState`."""
        return self.step_tokens, self.audio_buf, self.text, self.step, self.call

    def fill(self, ids: TokenIds) -> None:
        """See `FrameState`."""
        rows, lanes = len(self.step), len(self.step_tokens)
        self.step_tokens.view(rows, self.branches, -1)[:, 0, :2] = self.text
        columns = self._by_lane(self.step)[:, None, None]  # [lanes, 1, 1]
        cells = self.audio_buf.gather(2, columns.expand(lanes, len(self.delays), 1))
        missing = (columns < self.delays[:, None]) | (cells == ids.ungenerated)
        self.step_tokens[:, 2:] = cells.masked_fill(missing, ids.audio_bos)

    def rotation(self) -> Rotation:
        """See `FrameState`."""
        cos, sin = self.decode.rotation
        positions = self._by_lane(self.step)
        return cos.index_select(0, positions)[:, None], sin.index_select(0, positions)[:, None]

    def span(self, slots: Tensor | None = None) -> Span:
        """See `FrameState`; rows see no further than their own calls."""
        cache = self.decode.transformer
        if slots is None:
            slots = torch.arange(whole_rows(self.calls + 1), device=self.call.device)
        calls = self._by_lane(self.call)[:, None]  # [lanes, 1]
        return Span(cache, calls, len(slots), slots <= calls[:, None])

    def chance(self) -> Tensor:
        """See `FrameState`."""
        rows, _, channels = self.uniforms.shape
        return self.uniforms.gather(1, self.call[:, None, None].expand(rows, 1, channels))[:, 0]

    def texts(self) -> tuple[Tensor, Tensor]:
        """See `FrameState`."""
        main, second = self._by_lane(self.text).unbind(1)
        return main, second

    def lanes(self, tokens: Tensor) -> Tensor:
        """See `FrameState`."""
        return tokens.expand(-1, self.branches).reshape(-1)

    def write(self, codes: Tensor) -> None:
        """See `FrameState`."""
        columns = self._by_lane(self.step + 1)[:, None, None]
        codes = self._by_lane(codes)[:, :, None]  # [lanes, K, 1]
        self.audio_buf.scatter_(2, columns.expand_as(codes), codes)
        self.step += self.used
        self.call += self.used

    def _by_lane(self, values: Tensor) -> Tensor:
        """Of `values` [N, ...] each as often as a row has lanes: [N · B, ...]."""
        return values[:, None].expand(-1, self.branches, *values.shape[1:]).flatten(0, 1)

    # Rows

    @property
    def capacity(self) -> tuple[int, int]:
        """Rows, and calls that each may make."""
        return self.uniforms.shape[0], self.uniforms.shape[1]

    @property
    def nbytes(self) -> int:
        """Of all that grows with rows."""
        caches = (self.decode.transformer.both, self.decode.depformer.both)
        return sum(tensor.nbytes for tensor in (self.step_tokens, self.audio_buf, self.uniforms, *caches))

    def first(self, rows: int, *, forced: bool) -> BatchState:
        """The first so many rows, in the same memory; `forced`: with their places for codes that are given."""
        return replace(self, **self._part(slice(0, rows), slice(0, rows * self.branches), forced=forced))

    def place(self, gen: GenerationState, row: int) -> None:
        """Let `gen` be the run in `row`; it has as many lanes as it had, or as many as there are."""
        first = row * self.branches
        count = len(gen.step_tokens) or self.branches
        part = self._part(row, slice(first, first + count), forced=gen.forced is not None)
        part |= {name: getattr(self, name)[row : row + 1] for name in ("step", "call")}
        for name, value in part.items():
            if name != "used":
                setattr(gen, name, value)

    def _part(self, rows: int | slice, lanes: slice, *, forced: bool) -> dict[str, Any]:
        """The fields of a part."""
        decode = replace(
            self.decode, transformer=self.decode.transformer.part(lanes), depformer=self.decode.depformer.part(lanes)
        )
        part: dict[str, Any] = {name: getattr(self, name)[lanes] for name in _BY_LANE}
        part |= {name: getattr(self, name)[rows] for name in _BY_ROW}
        return part | {"decode": decode, "forced": self.forced[rows] if forced and self.forced is not None else None}

    def move(self, origin: int, target: int) -> None:
        """Copy one row to the place of another."""
        self.take(self, origin, target)

    def take(self, other: BatchState, origin: int, target: int) -> None:
        """Copy row `origin` of another state, which is no larger, into row `target`."""
        for old, new in zip(other._by_row(origin), self._by_row(target), strict=True):
            new[tuple(slice(0, size) for size in old.shape)].copy_(old)
        lanes = (slice(row * self.branches, (row + 1) * self.branches) for row in (origin, target))
        old_cache, new_cache = (s.decode.transformer.part(part) for s, part in zip((other, self), lanes, strict=True))
        new_cache.both[:, :, :, :, : old_cache.slots].copy_(old_cache.both)

    def vacate(self, row: int) -> None:
        """Nobody is in `row` any more: it stands still at its beginning."""
        for tensor in (self.step[row], self.call[row], self.used[row]):
            tensor.zero_()

    def _by_row(self, row: int) -> list[Tensor]:
        """What holds a run's values, save the caches."""
        assert self.forced is not None, "of all rows, not of a part"
        lanes = slice(row * self.branches, (row + 1) * self.branches)
        by_lane = (getattr(self, name)[lanes] for name in _BY_LANE)
        return [*by_lane, *(getattr(self, name)[row] for name in _BY_ROW), self.forced[row]]


_BY_LANE = ("step_tokens", "audio_buf")
_BY_ROW = ("text", "step", "call", "uniforms", "used")


def bytes_of(runtime: RuntimeContext, rows: int, branches: int, frames: int) -> int:
    """Of what `allocate` makes, worked out without making it."""
    data, lanes = runtime.config.data, rows * branches
    calls, columns = extent(runtime, frames)
    caches = runtime.model.cache_bytes(branches=lanes, slots=whole_rows(calls))
    return caches + 8 * lanes * (data.channels + data.num_codebooks * columns) + 4 * rows * calls * data.channels


def allocate(runtime: RuntimeContext, rows: int, branches: int, frames: int) -> BatchState:
    """Tensors of so many rows, all of them empty.

    Args:
        runtime: the checkpoint.
        rows: how many.
        branches: of each.
        frames: of the longest prefix that there is room for.
    """
    data, ids, device = runtime.config.data, runtime.constants, runtime.device
    calls, columns = extent(runtime, frames)
    lanes = rows * branches

    def whole(value: int, *shape: int) -> Tensor:
        return torch.full(shape, value, dtype=torch.int64, device=device)

    decode = runtime.model.new_decode_state(branches=lanes, slots=whole_rows(calls), positions=calls, device=device)
    decode.transformer.clear()  # slots are read under a mask
    decode.depformer.clear()
    return BatchState(
        step_tokens=whole(ids.pad, lanes, data.channels, 1),
        audio_buf=whole(ids.ungenerated, lanes, data.num_codebooks, columns),
        decode=decode,
        text=whole(ids.pad, rows, 2),
        step=whole(0, rows),
        call=whole(0, rows),
        uniforms=torch.zeros((rows, calls, data.channels), device=device),
        used=whole(0, rows),
        delays=runtime.audio_delay_tensor,
        specials=special_codes(ids, data.audio_vocab_size).to(device),
        forced=whole(-1, rows, data.num_codebooks),
        branches=branches,
    )
