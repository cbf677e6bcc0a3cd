"""What the rows of a batch write into activations, each its own, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dia2.core.config import DiaConfig
from dia2.runtime.write_buffers import Need, WriteBuffers, union
from dia2.runtime.written import Written

KEPT = 4  # buffers, by what they have room for: graphs know their addresses


class BatchWrites:
    """The buffers of all lanes; those of rows without edits change nothing."""

    def __init__(self, config: DiaConfig, device: torch.device) -> None:
        """Begin without any."""
        self.buffers: WriteBuffers | None = None  # `None`: nobody writes, and nothing is to be computed for it
        self._config, self._device = config, device
        self._kept: dict[tuple[int, tuple[Need, ...]], WriteBuffers] = {}  # by lanes and needs; used last stands last

    def refresh(self, lanes: int, rows: Sequence[tuple[slice, Written]]) -> None:
        """Let each row have its lanes; belongs wherever rows come, go or move.

        Args:
            lanes: of all rows that there is room for.
            rows: those with edits, and which lanes are theirs.
        """
        if not rows:
            self.buffers = None
            return
        needs = union(need for _, written in rows for need in written.needs)
        buffers = self.buffers
        if buffers is None or buffers.lanes != lanes or union((*buffers.needs, *needs)) != buffers.needs:
            buffers = self._kept.pop((lanes, needs), None)
            if buffers is None:
                while len(self._kept) >= KEPT:
                    del self._kept[next(iter(self._kept))]
                buffers = WriteBuffers.make(needs, self._config, lanes, self._device)
            self._kept[lanes, needs] = self.buffers = buffers
        buffers.clear()
        for part, written in rows:
            written.into(buffers.part(part))

    def close(self) -> None:
        """Let go of the tensors."""
        self._kept.clear()
        self.buffers = None
