"""What runs of Dia under CUDA graphs leave for the next one of the same shape and settings."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from dia.loop import GenerationState
from dia.runner import GraphStep
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.graphs import settle

STATES = 2  # that wait for a run


@dataclass(frozen=True, eq=False)  # one is not another for having the same numbers
class PooledState:
    """The tensors of one run at a time, with the graph and the rings that know where they are."""

    size: Hashable  # shape and settings, which the graph holds
    state: GenerationState
    step: GraphStep
    buffers: CaptureBuffers | None

    def clear(self) -> None:
        """Make it fit for a run: the graph reads every slot of the caches."""
        settle(self.state.row.device)
        self.state.decoder.clear()
