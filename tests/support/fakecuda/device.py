"""Lets `torch.cuda` use the pretended device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils import _device

from . import graphs, streams
from .extension import extension
from .streams import Where, index_of

MEMORY = 141 << 30  # bytes
NAME = "pretended CUDA device"
_installed = False


def place() -> str:
    """Where tests put checkpoints in this process: `cuda` where there is the pretended device, else `cpu`."""
    return "cuda" if _installed else "cpu"


def install(devices: int = 1) -> None:
    """From now on this process has so many CUDA devices; nobody may have asked torch for one before.

    Raises:
        RuntimeError: see `reason_to_skip`.
    """
    global _installed
    constructors: Any = _device._device_constructors
    constructors()  # torch keeps which functions take a device, by what they are now
    core, cuda = extension(), torch.cuda
    core.set_device_count(devices)
    cuda._initialized = True
    replaced: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": _nothing,
        "_lazy_init": _nothing,
        "device_count": lambda: devices,
        "current_device": core.current_device,
        "set_device": lambda device: core.set_device(index_of(device)),
        "device": streams.DeviceContext,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: (9, 0),
        "is_bf16_supported": lambda *_, **__: True,
        "Stream": streams.Stream,
        "Event": streams.Event,
        "stream": streams.StreamContext,
        "StreamContext": streams.StreamContext,
        "current_stream": streams.current_stream,
        "default_stream": streams.default_stream,
        "set_stream": streams.set_stream,
        "synchronize": streams.synchronize,
        "CUDAGraph": graphs.CUDAGraph,
        "graph": graphs.graph,
        "graph_pool_handle": graphs.graph_pool_handle,
        "is_current_stream_capturing": core.is_capturing,
        "empty_cache": _nothing,
        "set_sync_debug_mode": _nothing,
        "memory_allocated": _memory("bytes"),
        "max_memory_allocated": _memory("peak"),
        "memory_reserved": _memory("bytes"),
        "memory_stats": _memory_stats,
        "mem_get_info": _memory_info,
        "reset_peak_memory_stats": lambda device=None: core.reset_peak(index_of(device)),
    }
    for name, value in replaced.items():
        setattr(cuda, name, value)
    _installed = True


def _nothing(*_: object) -> None:
    pass


def _memory(name: str) -> Callable[[Where], int]:
    def read(device: Where = None) -> int:
        value: int = extension().memory(index_of(device))[name]
        return value

    return read


def _memory_info(device: Where = None) -> tuple[int, int]:
    """Free and total, without what `limit_memory` says: it may not be known beforehand."""
    return MEMORY - extension().memory(index_of(device))["bytes"], MEMORY


def _memory_stats(device: Where = None) -> dict[str, int]:
    known = extension().memory(index_of(device))
    return {
        "allocation.all.allocated": known["allocations"],
        "allocated_bytes.all.current": known["bytes"],
        "allocated_bytes.all.peak": known["peak"],
    }
