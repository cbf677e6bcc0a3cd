"""Running a step: as a plain call, or as one CUDA graph that is captured once and kept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dia.generation import GenerationConfig
from dia.layers import DiaModel
from dia.loop import GenerationState, decode_step
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.graphs import GraphBackend, captured


class EagerStep:
    """The step as a plain call, which looks at the filled part of the cache."""

    def __init__(
        self, model: DiaModel, state: GenerationState, config: GenerationConfig, buffers: CaptureBuffers | None
    ) -> None:
        self._model, self._state, self._config, self._buffers = model, state, config, buffers

    def __call__(self, row: int) -> None:
        """Run the step that reads `row`."""
        decode_step(self._model, self._state, self._config, row + 1, buffers=self._buffers)


class GraphStep(EagerStep):
    """The step as one graph, draw and countdown included: the whole cache is read under a mask."""

    def __init__(
        self,
        model: DiaModel,
        state: GenerationState,
        config: GenerationConfig,
        buffers: CaptureBuffers | None,
        backend: GraphBackend,
    ) -> None:
        super().__init__(model, state, config, buffers)
        self._backend = backend
        if buffers is not None:
            buffers.keep_row_on_device()
        self._slots = torch.arange(state.decoder.slots, device=model.device)
        self._replay: Callable[[], None] | None = None

    def __call__(self, row: int) -> None:
        """Run the step that reads `row`, which the device knows already."""
        if self._replay is None:
            state = self._state
            ending = (state.countdown, state.ended_at, state.drew_eos, state.finished)
            moving = (state.output.generated_tokens, state.row, *ending)
            self._replay = captured(self._backend, self._step, moving)
        self._replay()

    def _step(self) -> None:
        self._state.decoder.whole_text = False  # the next run of this graph may have a shorter text
        mask = (self._slots <= self._state.row)[None, None]  # [1, 1, slots]
        decode_step(self._model, self._state, self._config, len(self._slots), mask, self._buffers)
