"""Devices and dtypes: what may be asked for, and what `auto` means."""

from __future__ import annotations

import sys

import torch

from dia2.common.errors import UsageError
from dia2.core.ambient import isolated

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
QUANTIZED = ("int8",)


@isolated()
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
        if torch.version.cuda is None and torch.version.hip is None and not torch.cuda.device_count():
            raise UsageError(f"Device {device!r} is not available: {_without_cuda()}.")
        raise UsageError(
            f"Device {device!r} is not available here (CUDA devices: {torch.cuda.device_count()}): try cpu."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("Device 'mps' is not available here: try cpu.")
    return chosen


def _without_cuda() -> str:
    """What a torch that knows no CUDA is told about, and what to do."""
    if sys.platform == "darwin":
        return f"this torch ({torch.__version__}) is built without CUDA, which a Mac does not have: try mps or cpu"
    return (
        f"this torch ({torch.__version__}) is built without CUDA: pip uninstall torch, then install one that has it "
        "with the pip install line that https://pytorch.org/get-started/locally gives for your machine, or try cpu"
    )


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
