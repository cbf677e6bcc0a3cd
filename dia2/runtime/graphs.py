"""Running the two halves of a frame: eagerly, or as two CUDA graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch

from dia2.core.cache import Span
from dia2.generation import GenerationConfig
from dia2.runtime.context import RuntimeContext
from dia2.runtime.frame import FirstHalf, GenerationState, first_half, second_half
from dia2.runtime.taps import Taps

logger = logging.getLogger("dia2")


class FrameRunner(Protocol):
    """Runs one frame; between the halves the caller runs the state machine."""

    def first(self) -> FirstHalf:
        """Enqueue the first half; returns its outputs, which the device may still be computing."""

    def second(self) -> None:
        """Enqueue the second half."""


class EagerRunner:
    """The halves as plain calls."""

    def __init__(
        self, runtime: RuntimeContext, gen: GenerationState, config: GenerationConfig, taps: Taps | None
    ) -> None:
        self._runtime, self._gen, self._config, self._taps = runtime, gen, config, taps
        self._out: FirstHalf | None = None

    def first(self) -> FirstHalf:
        """See `FrameRunner`."""
        gen = self._gen
        span = Span(gen.decode.transformer, gen.call, gen.calls + 1)
        self._out = first_half(self._runtime.model, gen, self._runtime.constants, self._config, span, self._taps)
        return self._out

    def second(self) -> None:
        """See `FrameRunner`."""
        assert self._out is not None, "second() before first()"
        second_half(self._runtime.model, self._gen, self._config, self._out, self._taps)


class GraphBackend(Protocol):
    """What can record a half and run it again."""

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        """Record `half`; returns its replay. Recording computes nothing: replay the first time too.

        A backend that runs `half` before it records calls `reset` after each such run.
        """


class GraphRunner:
    """The halves as two graphs, draws included: two replays a frame.

    The caches' whole capacity is read under a mask, so one pair of graphs serves every step.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        gen: GenerationState,
        config: GenerationConfig,
        backend: GraphBackend,
        taps: Taps | None = None,
    ) -> None:
        self._runtime, self._gen, self._config, self._backend, self._taps = runtime, gen, config, backend, taps
        if taps is not None:
            taps.keep_row_on_device()
        self._slots = torch.arange(gen.decode.transformer.slots, device=runtime.device)
        self._out: FirstHalf | None = None
        self._replay_first: Callable[[], None] | None = None
        self._replay_second: Callable[[], None] | None = None

    def first(self) -> FirstHalf:
        """See `FrameRunner`."""
        if self._replay_first is None:
            self._replay_first = self._capture(self._run_first)
        self._replay_first()
        assert self._out is not None, "replay left no output"
        return self._out

    def second(self) -> None:
        """See `FrameRunner`."""
        if self._replay_second is None:
            self._replay_second = self._capture(self._run_second)
        self._replay_second()

    def _capture(self, half: Callable[[], None]) -> Callable[[], None]:
        """Capture a half; the dry runs that come before it must leave no trace in the state."""
        gen = self._gen
        moving = (gen.step_tokens, gen.audio_buf, gen.text, gen.step, gen.call)
        saved = [tensor.clone() for tensor in moving]

        def reset() -> None:  # what a dry run wrote to the caches stands in slots that the replay writes again
            for tensor, before in zip(moving, saved, strict=True):
                tensor.copy_(before)

        return self._backend.capture(half, reset)

    def _run_first(self) -> None:
        gen, runtime = self._gen, self._runtime
        mask = self._slots[None, :] <= gen.call  # [1, slots]
        span = Span(gen.decode.transformer, gen.call, gen.decode.transformer.slots, mask)
        self._out = first_half(runtime.model, gen, runtime.constants, self._config, span, self._taps)

    def _run_second(self) -> None:
        assert self._out is not None, "second() before first()"
        second_half(self._runtime.model, self._gen, self._config, self._out, self._taps)


class CudaGraphs:
    """`torch.cuda.CUDAGraph`s that share one memory pool and one capture stream."""

    _DRY_RUNS = 3  # lets cuBLAS, autotuning and the allocator settle before capture

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        # Of this device: torch's own default capture stream belongs to whichever device is current.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types it nowhere

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        """See `GraphBackend`."""
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(self._DRY_RUNS):
                    half()
                    reset()
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                half()
        replay: Callable[[], None] = graph.replay
        return replay


def make_runner(
    runtime: RuntimeContext, gen: GenerationState, config: GenerationConfig, taps: Taps | None
) -> FrameRunner:
    """The runner that `config` asks for; graphs need CUDA, elsewhere the frame runs eagerly."""
    if config.use_cuda_graph:
        if runtime.device.type == "cuda":
            return GraphRunner(runtime, gen, config, CudaGraphs(runtime.device), taps)
        logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
    return EagerRunner(runtime, gen, config, taps)
