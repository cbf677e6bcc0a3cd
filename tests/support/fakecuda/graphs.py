"""`torch.cuda.CUDAGraph` and `torch.cuda.graph` on the pretended device."""

from __future__ import annotations

import gc
from collections import Counter
from types import TracebackType
from typing import Any

from .extension import Kernels, extension, short
from .streams import Stream, StreamContext, current_stream, synchronize

_POOLS = iter(range(1, 1 << 62))


class CUDAGraph:
    """The calls of a capture, made again by `replay`."""

    captured: list[CUDAGraph] = []  # noqa: RUF012  # all of this process that live, for tests to look at

    def __init__(self, keep_graph: bool = False) -> None:
        self._graph: Any = None
        self._ended = False

    def capture_begin(self, pool: object = None, capture_error_mode: str = "global") -> None:
        """Record what the current stream is given from now on."""
        self._graph = extension().begin_capture(current_stream().device_index, capture_error_mode)

    def capture_end(self) -> None:
        """The recording is whole."""
        self._graph.end()
        self._ended = True
        CUDAGraph.captured.append(self)

    def replay(self) -> None:
        """Make the recorded calls."""
        if not self._ended:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        self._graph.replay()

    def reset(self) -> None:
        """Let go of what was recorded."""
        self._graph, self._ended = None, False

    def pool(self) -> tuple[int, int]:
        """The memory pool."""
        return graph_pool_handle()

    @property
    def kernels(self) -> Kernels:
        """What a replay launches, by the operation's name."""
        return short(Counter(self._graph.names))


def graph_pool_handle() -> tuple[int, int]:
    """A new memory pool."""
    return 0, next(_POOLS)


class graph:  # noqa: N801  # torch's own name
    """A block that is captured, on a side stream."""

    default_capture_stream: Stream | None = None

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: object = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
    ) -> None:
        if stream is None and graph.default_capture_stream is None:
            graph.default_capture_stream = Stream()
        self._graph, self._mode, self._pool = cuda_graph, capture_error_mode, pool
        self._stream = StreamContext(stream or graph.default_capture_stream)

    def __enter__(self) -> None:
        synchronize()
        gc.collect()
        self._stream.__enter__()
        self._graph.capture_begin(self._pool, self._mode)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._graph.capture_end()
        self._stream.__exit__(kind, error, at)
