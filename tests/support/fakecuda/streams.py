"""`torch.cuda`'s streams and events: torch's general ones, on the pretended device."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch

from .extension import extension

Where = torch.device | str | int | None
_CUDA = 1  # torch's number of the type of device
_Stream: Any = torch.Stream  # its types leave out how it is made
_Event: Any = torch.Event


def index_of(device: Where = None) -> int:
    """The number of a device, by default of the current one."""
    if isinstance(device, int):
        return device
    number = None if device is None else torch.device(device).index
    current: int = extension().current_device()
    return current if number is None else number


class Stream(_Stream):  # type: ignore[misc]
    """Work in order. Nothing is known of the order between two of them, unless one waits for the other."""

    def __new__(cls, device: Where = None, priority: int = 0, **known: int) -> Stream:
        """A new one, or with `stream_id` and `device_index` one that is there."""
        if known:
            return _Stream.__new__(cls, device_type=_CUDA, **known)  # type: ignore[no-any-return]
        return _Stream.__new__(cls, device=torch.device("cuda", index_of(device)), priority=priority)  # type: ignore[no-any-return]

    @property
    def cuda_stream(self) -> int:
        """Its handle."""
        return int(self.stream_id)


class Event(_Event):  # type: ignore[misc]
    """A moment of a stream."""

    def __new__(cls, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> Event:
        """On CUDA; when it was is not known."""
        return _Event.__new__(cls, device="cuda", enable_timing=enable_timing)  # type: ignore[no-any-return]


def current_stream(device: Where = None) -> Stream:
    """Of this thread."""
    index = index_of(device)
    return Stream(stream_id=extension().current_stream(index), device_index=index)


def default_stream(device: Where = None) -> Stream:
    """Of a device."""
    index = index_of(device)
    return Stream(stream_id=extension().default_stream(index), device_index=index)


def set_stream(stream: Stream) -> None:
    """Make it current, and its device."""
    extension().set_device(stream.device_index)
    extension().set_stream(stream.device_index, stream.stream_id)


class StreamContext:
    """A block in which a stream is current, and its device."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self._before = current_stream(), current_stream(self.stream.device_index)
            set_stream(self.stream)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.stream is not None:
            here, there = self._before
            set_stream(there)
            set_stream(here)


class DeviceContext:
    """A block in which a device is current."""

    def __init__(self, device: Where) -> None:
        self.idx = index_of(device)

    def __enter__(self) -> None:
        self._before = extension().current_device()
        extension().set_device(self.idx)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        extension().set_device(self._before)


def synchronize(device: Where = None) -> None:
    """Wait for all streams of a device."""
    extension().synchronize(index_of(device))
