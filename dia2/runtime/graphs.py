"""Running the two halves of a frame: eagerly, or as two CUDA graphs."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.generation import GenerationConfig
from dia2.runtime.capture import CaptureBuffers, Shapes, Taps
from dia2.runtime.forms import Form, form_of
from dia2.runtime.frame import FirstHalf, FrameState, GenerationState, first_half, second_half

if TYPE_CHECKING:
    from dia2.core.acts import Writes
    from dia2.core.config import DiaConfig
    from dia2.runtime.context import RuntimeContext
    from dia2.runtime.written import Written

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


class Runner(Protocol):
    """What runs the halves of a run's frames; between them the run's own loop runs the state machine."""

    shared: bool  # a batch runs the halves of several runs at once, for which the loop pauses
    ahead: bool  # the second half does not look at the text, and is handed over before waiting for the action

    def first(self) -> FirstHalf:
        """Enqueue the first half; returns its outputs, which the device may still be computing."""

    def second(self) -> None:
        """Enqueue the second half."""

    def action(self) -> int:
        """The action that the first half drew; waits for it, which is the frame's one host sync."""


class EagerRunner:
    """Runs frames of one run, or of several side by side, their halves as plain calls."""

    shared = False
    _out: FirstHalf  # of the frame whose first half was run last

    def __init__(
        self,
        runtime: RuntimeContext,
        gen: FrameState,
        config: GenerationConfig,
        buffers: Taps | None,
        form: Callable[[], Form] | None = None,
    ) -> None:
        """Note what to run.

        Args:
            runtime: the checkpoint.
            gen: the tensors.
            config: sampling, guidance, and how a frame is computed.
            buffers: for observers.
            form: gives that of `config` if none.
        """
        # Not the runtime itself: it keeps runners, and the two would keep one another and the weights.
        self._model, self._ids = runtime.model, runtime.constants
        self._gen, self._buffers = gen, buffers
        self._form = form or partial(form_of, runtime.model, config, modules=gen.writes is not None)
        # Whether to hand over the second half, which does not look at the text then, before waiting for the action.
        # A CPU computes at once, so there is nothing to wait for, and each half has its own time.
        self.ahead = self._model.depformer.text_embed is None and runtime.device.type != "cpu"

    def first(self) -> FirstHalf:
        """See `Runner`."""
        self._out = first_half(self._form(), self._gen, self._ids, self._gen.span(), self._buffers)
        return self._out

    def second(self) -> None:
        """See `Runner`."""
        second_half(self._form(), self._model, self._gen, self._out, self._buffers)

    def action(self) -> int:
        """See `Runner`."""
        return int(self._out.action)

    def actions(self) -> list[int]:
        """Those of all runs, likewise."""
        actions: list[int] = self._out.action.flatten().tolist()
        return actions


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
        gen: FrameState,
        config: GenerationConfig,
        backend: GraphBackend,
        buffers: Taps | None = None,
        form: Callable[[], Form] | None = None,
    ) -> None:
        """Note what to run: as `EagerRunner`, and what captures it."""
        super().__init__(runtime, gen, config, buffers, form)
        self._backend = backend
        self.ahead = self._model.depformer.text_embed is None
        if buffers is not None:
            buffers.keep_row_on_device()
        self._slots = torch.arange(gen.decode.transformer.slots, device=runtime.device)
        self._out = _static_outputs(runtime, gen)
        self._host = _HostCopy(runtime.device, self._out.action) if runtime.device.type == "cuda" else None
        self._replay_first: Callable[[], None] | None = None
        self._replay_second: Callable[[], None] | None = None

    def first(self) -> FirstHalf:
        """See `Runner`."""
        if self._replay_first is None:
            self._replay_first = self._capture(self._run_first)
        self._replay_first()
        if self._host is not None:
            self._host.begin(self._out.action)
        return self._out

    def second(self) -> None:
        """See `Runner`."""
        if self._replay_second is None:
            self._replay_second = self._capture(super().second)
        self._replay_second()

    def action(self) -> int:
        """See `Runner`."""
        return super().action() if self._host is None else int(self._host.end())

    def actions(self) -> list[int]:
        """See `EagerRunner`."""
        if self._host is None:
            return super().actions()
        actions: list[int] = self._host.end().flatten().tolist()
        return actions

    def _capture(self, half: Callable[[], None]) -> Callable[[], None]:
        return captured(self._backend, half, self._gen.moving)

    def _run_first(self) -> None:
        out = first_half(self._form(), self._gen, self._ids, self._gen.span(self._slots), self._buffers)
        for static, value in zip(self._out, out, strict=True):
            static.copy_(value)  # no graph's memory is read by another, so that any of them may follow any other


class _HostCopy:
    """On CUDA: a few numbers on their way to the host, waited for by an event of their own.

    The second half is enqueued before the host asks, where it does not look at the text: reading the tensor itself
    would wait for that half, too, and leave the device idle while the machine steps.
    """

    def __init__(self, device: torch.device, like: Tensor) -> None:
        self._device = device
        self._value = torch.zeros(like.shape, dtype=torch.int64, pin_memory=True)
        self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch types it nowhere

    def begin(self, value: Tensor) -> None:
        """Enqueue the copy of `value` int64, of the shape that was told."""
        self._value.copy_(value, non_blocking=True)
        self._arrived.record(torch.cuda.current_stream(self._device))

    def end(self) -> Tensor:
        """Wait for it."""
        self._arrived.synchronize()
        return self._value


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


def _static_outputs(runtime: RuntimeContext, gen: FrameState) -> FirstHalf:
    lanes, device = gen.step_tokens.shape[0], runtime.device
    hidden = torch.zeros((lanes, runtime.config.model.decoder.n_embd), dtype=runtime.model.dtype, device=device)
    action, cb0 = (torch.zeros((*gen.runs, 1), dtype=torch.int64, device=device) for _ in range(2))
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


class Lender(Protocol):
    """What lends a run its tensors, and runs the halves of its frames: kept graphs, or a batch."""

    def write(self, config: DiaConfig, written: Written) -> Writes | None:
        """Give a run's edits of activations a place; `None`: the frames are those of several runs, and so is that."""

    def runner(
        self,
        runtime: RuntimeContext,
        config: GenerationConfig,
        buffers: CaptureBuffers | None,
        writes: Writes | None,
        *,
        forced: bool,
    ) -> Runner:
        """What runs the frames with these settings; `writes`: what `write` gave, if anything."""

    def buffers(self, shapes: Shapes) -> CaptureBuffers:
        """The rings of these names."""


def make_runner(
    runtime: RuntimeContext, gen: GenerationState, config: GenerationConfig, buffers: CaptureBuffers | None
) -> Runner:
    """The runner that `config` asks for; graphs need CUDA, elsewhere the frame runs eagerly."""
    if gen.lease is not None:
        return gen.lease.state.runner(runtime, config, buffers, gen.writes, forced=gen.forced is not None)
    if config.use_cuda_graph:
        logger.warning("CUDA graphs are off: the device is %s", runtime.device.type)
    return EagerRunner(runtime, gen, config, buffers)
