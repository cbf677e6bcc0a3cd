"""Devices and dtypes: what `auto` means, and float32 that really is float32."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dia2.errors import UsageError

_SMALL_MODEL = 64 << 20  # bytes of weights; nano has a few, Dia2-1B gigabytes
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
QUANTIZED = ("int8",)


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best one here: cuda, else mps, else cpu.

    Raises:
        UsageError: the name is no device, or this machine or this build of torch has none of that kind.
    """
    if device is None or device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"There is no device {device!r}: choose cuda, cuda:N, mps or cpu.") from error
    if chosen.type not in ("cuda", "mps", "cpu"):
        raise UsageError(f"Device {device!r} is not supported: choose cuda, cuda:N, mps or cpu.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"Device {device!r} is not available here (CUDA devices: {torch.cuda.device_count()}): try cpu."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("Device 'mps' is not available here: try cpu.")
    return chosen


def numbered(device: torch.device) -> torch.device:
    """`device`, and of CUDA the one that is current now: a thread to come may have another."""
    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


def pick_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype of weights and activations; `auto` is bfloat16 on cuda and float32 elsewhere.

    Raises:
        UsageError: not one of auto, float32, bfloat16.
    """
    if isinstance(dtype, torch.dtype) and dtype in DTYPES.values():
        return dtype
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if isinstance(dtype, str) and dtype in DTYPES:
        return DTYPES[dtype]
    raise UsageError(f"dtype {dtype!r} is not supported: choose auto, float32 or bfloat16.")


def pick_quantization(name: str | None) -> str | None:
    """How to pack the weights; none leaves them as they are.

    Raises:
        UsageError: not one of those there are.
    """
    if name is not None and name not in QUANTIZED:
        raise UsageError(f"Weights cannot be packed as {name!r}: choose {', '.join(QUANTIZED)}, or leave it out.")
    return name


@contextmanager
def exact_float32() -> Iterator[None]:
    """No TF32 while a model runs: float32 products and convolutions (heads and codec, whatever the dtype) keep 24 bits.

    The switches are torch's global ones, so the last of several runs puts them back.
    """
    if not torch.cuda.is_available():
        yield
        return
    with _EXACT.held():
        yield


class _Exact:
    """The two switches, off while anybody holds them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before: list[str] = []  # what they were when the first holder came

    @contextmanager
    def held(self) -> Iterator[None]:
        """Off for a block."""
        backends: Any = torch.backends  # these switches have no types
        switches = (backends.cuda.matmul, backends.cudnn.conv)
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._before = [switch.fp32_precision for switch in switches]
                for switch in switches:
                    switch.fp32_precision = "ieee"
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    for switch, precision in zip(switches, self._before, strict=True):
                        switch.fp32_precision = precision


_EXACT = _Exact()


@contextmanager
def threads_for(model_bytes: int, device: torch.device) -> Iterator[None]:
    """One CPU thread while a small model runs: handing its tiny products to more costs far more than it saves.

    The thread count is torch's global one, so it is put back afterwards.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or model_bytes > _SMALL_MODEL or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
