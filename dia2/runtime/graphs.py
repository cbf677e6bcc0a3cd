"""Running the two halves of a frame: eagerly, or as two CUDA graphs."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.cache import Span
from dia2.generation import GenerationConfig
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.frame import FirstHalf, GenerationState, first_half, second_half

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

# One at a time in this process: what waits for the whole device is an error while anybody captures.
CAPTURING = threading.Lock()

_COMPILERS = ("g++", "clang++", "c++", "cl")  # of C++
_C_COMPILERS = ("gcc", "clang", "cc", "cl")  # of C, which Triton looks for
_LEAST_CAPABILITY = (7, 0)  # of a GPU for Triton


def settle(device: torch.device) -> None:
    """On CUDA: wait for whatever was enqueued, also by a run before on a stream that this one does not wait for."""
    if device.type == "cuda":
        with CAPTURING:
            torch.cuda.synchronize(device)


class EagerRunner:
    """Runs one frame, its halves as plain calls; between them the caller runs the state machine."""

    _out: FirstHalf  # of the frame whose first half was run last

    def __init__(
        self, runtime: RuntimeContext, gen: GenerationState, config: GenerationConfig, buffers: CaptureBuffers | None
    ) -> None:
        # Not the runtime itself: it keeps runners, and the two would keep one another and the weights.
        self._model, self._ids = runtime.model, runtime.constants
        self._gen, self._config, self._buffers = gen, config, buffers
        # Whether to hand over the second half, which does not look at the text then, before waiting for the action.
        # A CPU computes at once, so there is nothing to wait for, and each half has its own time.
        self.ahead = self._model.depformer.text_embed is None and runtime.device.type != "cpu"

    def first(self) -> FirstHalf:
        """Enqueue the first half; returns its outputs, which the device may still be computing."""
        gen = self._gen
        span = Span(gen.decode.transformer, gen.call, gen.calls + 1)
        self._out = first_half(self._model, gen, self._ids, self._config, span, self._buffers)
        return self._out

    def second(self) -> None:
        """Enqueue the second half."""
        second_half(self._model, self._gen, self._config, self._out, self._buffers)

    def action(self) -> int:
        """The action that the first half drew; waits for it, which is the frame's one host sync."""
        return int(self._out.action)


class GraphBackend(Protocol):
    """What can record a half and run it again."""

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        """Record `half`; returns its replay. Recording computes nothing: replay the first time too.

        A backend that runs `half` before it records calls `reset` after each such run.
        """


def captured(backend: GraphBackend, half: Callable[[], None], moving: Sequence[Tensor]) -> Callable[[], None]:
    """Capture a half; the dry runs that come before it must leave no trace in the state.

    Args:
        backend: captures it.
        half: of a frame, or all of one.
        moving: what it changes, but for the caches: what a dry run wrote there stands in slots that the replay writes
            again.
    """
    saved = [tensor.clone() for tensor in moving]

    def reset() -> None:
        for tensor, before in zip(moving, saved, strict=True):
            tensor.copy_(before)

    return backend.capture(half, reset)


class GraphRunner(EagerRunner):
    """The halves as two graphs, draws included: two replays a frame.

    The caches' whole capacity is read under a mask, so one pair of graphs serves every step. Sampling, guidance and
    rings are part of what is captured; seed, script and prefix are not.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        gen: GenerationState,
        config: GenerationConfig,
        backend: GraphBackend,
        buffers: CaptureBuffers | None = None,
    ) -> None:
        super().__init__(runtime, gen, config, buffers)
        self._backend = backend
        self.ahead = self._model.depformer.text_embed is None
        if buffers is not None:
            buffers.keep_row_on_device()
        self._slots = torch.arange(gen.decode.transformer.slots, device=runtime.device)
        self._out = _static_outputs(runtime, gen)
        self._host = _HostCopy(runtime.device) if runtime.device.type == "cuda" else None
        self._replay_first: Callable[[], None] | None = None
        self._replay_second: Callable[[], None] | None = None

    def first(self) -> FirstHalf:
        """See `EagerRunner`."""
        if self._replay_first is None:
            self._replay_first = self._capture(self._run_first)
        self._replay_first()
        if self._host is not None:
            self._host.begin(self._out.action)
        return self._out

    def second(self) -> None:
        """See `EagerRunner`."""
        if self._replay_second is None:
            self._replay_second = self._capture(super().second)
        self._replay_second()

    def action(self) -> int:
        """See `EagerRunner`."""
        return super().action() if self._host is None else self._host.end()

    def _capture(self, half: Callable[[], None]) -> Callable[[], None]:
        gen = self._gen
        return captured(self._backend, half, (gen.step_tokens, gen.audio_buf, gen.text, gen.step, gen.call))

    def _run_first(self) -> None:
        gen = self._gen
        mask = self._slots[None, :] <= gen.call  # [1, slots]
        span = Span(gen.decode.transformer, gen.call, gen.decode.transformer.slots, mask)
        out = first_half(self._model, gen, self._ids, self._config, span, self._buffers)
        for static, value in zip(self._out, out, strict=True):
            static.copy_(value)  # no graph's memory is read by another, so that any of them may follow any other


class _HostCopy:
    """On CUDA: one number on its way to the host, waited for by an event of its own.

    The second half is enqueued before the host asks, where it does not look at the text: reading the tensor itself
    would wait for that half, too, and leave the device idle while the machine steps.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._value = torch.zeros(1, dtype=torch.int64, pin_memory=True)
        self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch types it nowhere

    def begin(self, value: Tensor) -> None:
        """Enqueue the copy of `value` [1] int64."""
        self._value.copy_(value, non_blocking=True)
        self._arrived.record(torch.cuda.current_stream(self._device))

    def end(self) -> int:
        """Wait for it."""
        self._arrived.synchronize()
        return int(self._value)


class CudaGraphs:
    """`torch.cuda.CUDAGraph`s that share one memory pool and one capture stream."""

    _DRY_RUNS = 3  # lets cuBLAS, autotuning and the allocator settle before capture

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        # Of this device: torch's own default capture stream belongs to whichever device is current. Of a priority of
        # its own: a graph keeps its stream's cuBLAS workspace, so no side stream may be the same one.
        self._stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]  # torch types it nowhere

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        """See `GraphBackend`."""
        current = torch.cuda.current_stream(self._device)
        # The stream once more: a capture that fails leaves its own one current.
        with CAPTURING, torch.cuda.device(self._device), torch.cuda.stream(current):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(self._DRY_RUNS):
                    half()
                    reset()
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            mode = "thread_local"  # other threads may run meanwhile
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode=mode):
                half()
        replay: Callable[[], None] = graph.replay
        return replay


def _static_outputs(runtime: RuntimeContext, gen: GenerationState) -> FirstHalf:
    branches, device = gen.step_tokens.shape[0], runtime.device
    hidden = torch.zeros((branches, runtime.config.model.decoder.n_embd), dtype=runtime.model.dtype, device=device)
    action, cb0 = (torch.zeros(1, dtype=torch.int64, device=device) for _ in range(2))
    return FirstHalf(hidden, action, cb0)


def check_compiler(wanted: bool, device: torch.device) -> None:
    """Refuse `use_torch_compile`, where it is `wanted`, where there is nothing to compile with.

    On a CPU that is a C++ compiler. On CUDA it is Triton, a GPU that it knows, and the C compiler by which it builds
    what starts its kernels.

    Raises:
        UsageError: says what to install.
    """
    if not wanted or device.type not in ("cpu", "cuda"):
        return
    if device.type == "cpu":
        needs, there_is = "a C++ compiler, and there is none: install g++ or clang++", _found("CXX", _COMPILERS)
    elif importlib.util.find_spec("triton") is None:
        needs, there_is = "Triton, and there is none: pip install triton", False
    elif (capability := torch.cuda.get_device_capability(device)) < _LEAST_CAPABILITY:
        own, least = (".".join(map(str, version)) for version in (capability, _LEAST_CAPABILITY))
        needs, there_is = f"compute capability {least}, and this GPU has {own}: take another device", False
    else:
        needs, there_is = "a C compiler for Triton, and there is none: install gcc", _found("CC", _C_COMPILERS)
    if not there_is:
        name = "a CPU" if device.type == "cpu" else "CUDA"
        raise UsageError(f"torch.compile on {name} needs {needs}, or leave --torch-compile (use_torch_compile) out.")


def _found(variable: str, names: Sequence[str]) -> bool:
    return any(name and shutil.which(name) for name in (os.environ.get(variable), *names))


def make_runner(
    runtime: RuntimeContext, gen: GenerationState, config: GenerationConfig, buffers: CaptureBuffers | None
) -> EagerRunner:
    """The runner that `config` asks for; graphs need CUDA, elsewhere the frame runs eagerly."""
    if gen.lease is not None:
        return gen.lease.state.runner(runtime, config, buffers, forced=gen.forced is not None)
    if config.use_cuda_graph:
        logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
    return EagerRunner(runtime, gen, config, buffers)
