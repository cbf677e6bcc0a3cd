"""What runs under CUDA graphs leave for the next one: static tensors, and the graphs that hold their addresses.

The engine owns a `StatePool`. A run leases a `PooledState`, and releases it when it ends, however it ends, so that the
next run captures and allocates nothing; two runs at a time have one each.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dia2.core.acts import Writes
from dia2.core.config import DiaConfig
from dia2.generation import GenerationConfig
from dia2.runtime.capture import CaptureBuffers, Shapes
from dia2.runtime.frame import GenerationState
from dia2.runtime.graphs import GraphBackend, GraphRunner
from dia2.runtime.lease import Pool
from dia2.runtime.write_buffers import Need, WriteBuffers
from dia2.runtime.written import Written

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")

# Two voices of ten seconds fit well. Every frame reads the whole capacity, so room for the longest prefix there may
# be (four minutes) would slow all runs down: three times the cache of a run without one.
USUAL_PREFIX = 30.0  # seconds
STATES = 2  # that wait for a run; with guidance a state of Dia2-2B takes some 0.4 GB
PAIRS = 4  # of graphs a state has, one for each setting that graphs hold


class Size(NamedTuple):
    """What decides the shapes of a run's tensors, besides the checkpoint."""

    branches: int  # 2 with guidance, else 1
    room: int  # frames that a prefix may have


class PooledState:
    """The tensors of one run at a time, with the graphs and rings that know where they are."""

    def __init__(self, size: Size, gen: GenerationState, backend: GraphBackend) -> None:
        """Keep `gen`, which has a place for forced codes whether or not a run needs it."""
        self.size, self.gen = size, gen
        self._backend = backend
        self._buffers = CaptureBuffers({}, gen.call.device)
        self._buffers.keep_row_on_device()
        self._runners: dict[object, GraphRunner] = {}  # the one used last stands last
        self._writes: dict[tuple[Need, ...], WriteBuffers] = {}  # likewise

    def write(self, config: DiaConfig, written: Written) -> Writes:
        """See `Lender`: those of a run before, if it needed the same."""
        needs = written.needs
        buffers = self._writes.pop(needs, None)
        if buffers is None:
            while len(self._writes) >= PAIRS:
                del self._writes[next(iter(self._writes))]
            buffers = WriteBuffers.make(needs, config, written.branches, self.gen.call.device)
        self._writes[needs] = buffers
        written.into(buffers)
        return buffers.writes

    def runner(
        self,
        runtime: RuntimeContext,
        config: GenerationConfig,
        buffers: CaptureBuffers | None,
        writes: Writes | None,
        *,
        forced: bool,
    ) -> GraphRunner:
        """The pair of graphs for these settings: captured before, or at its first frame."""
        rings = None if buffers is None else frozenset(buffers.rings)
        sampling = (config.text, config.audio, config.cfg_scale, config.cfg_filter_k)
        # A runner holds its writes: while it is kept, no others have their number.
        key = (sampling, config.use_torch_compile, config.use_triton, forced, rings, id(writes))
        runner = self._runners.pop(key, None)
        if runner is None:
            while len(self._runners) >= PAIRS:
                del self._runners[next(iter(self._runners))]
            gen = replace(self.gen, forced=self.gen.forced if forced else None, writes=writes)
            runner = GraphRunner(runtime, gen, config, self._backend, buffers)
        self._runners[key] = runner
        return runner

    def buffers(self, shapes: Shapes) -> CaptureBuffers:
        """The rings of these names, which stay for the next run that is observed."""
        self._buffers.add(shapes)
        return self._buffers.part(shapes)


class StatePool(Pool[PooledState]):
    """Lends kept states; each engine has one."""

    def __init__(self, backend: Callable[[], GraphBackend] | None) -> None:
        """Begin with nothing.

        Args:
            backend: makes what captures the graphs of one state; `None`: this device has no graphs.
        """
        super().__init__(STATES)
        self.backend = backend

    def acquire(
        self, branches: int, frames: int, frame_rate: float, allocate: Callable[[Size], GenerationState]
    ) -> GenerationState:
        """The state of a new run: a free one's tensors, if there is one of the size.

        Args:
            branches: of guidance.
            frames: of the prefix.
            frame_rate: frames a second.
            allocate: makes tensors of a size.

        Returns:
            The state, as `allocate` made it or as the run before left it.
        """
        backend, size = self.backend, Size(branches, room_for(frames, frame_rate))
        assert backend is not None, "asked for where there are no graphs"

        def make() -> PooledState:
            logger.debug("CUDA graphs: static tensors for %d branches, prefixes of up to %d frames", *size)
            return PooledState(size, allocate(size), backend())

        lease = self.lend(size, make)
        return replace(lease.state.gen, lease=lease)  # a copy for its host's side; the tensors are the same


def room_for(frames: int, frame_rate: float) -> int:
    """Frames of prefix that a run with so many has room for: the usual number, doubled until it is enough."""
    room = math.ceil(USUAL_PREFIX * frame_rate)
    while room < frames:
        room *= 2
    return room
