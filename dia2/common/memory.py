"""How much memory a run took at most, and the errors by which its end shows."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command that fails before it has torch asks `shortage`, too
    import torch

_STATUS = Path("/proc/self/status")
_MEMINFO = Path("/proc/meminfo")
_CLEAR = Path("/proc/self/clear_refs")
_GPU = re.compile(r"(CUDA|CUDA error:|MPS backend) out of memory|CUBLAS_STATUS_ALLOC_FAILED")
_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+) (bytes|[KMGT]i?B)")


def peak_host_bytes() -> int | None:
    """The most memory that this process was resident in since it began; `None` where the system does not tell.

    That is the resident set: all that it held in RAM at one time, libraries and mapped files included, whoever in the
    process asked for it. Linux (VmHWM) and macOS (getrusage) keep count; Windows does it in a way Python has not.
    """
    if (peak := _status("VmHWM")) is not None:
        return peak
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB everywhere else


def resident_bytes() -> int | None:
    """Bytes of this process that are in memory now (its resident set); Linux only."""
    return _status("VmRSS")


def forget_peak_host_bytes() -> bool:
    """Let the peak of this process begin anew, for all who look at it; whether that was possible: Linux only.

    A measurement may do that in a process of its own. A run does not: the peak of loading would be lost.
    """
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def begin_device_peak(device: torch.device) -> None:
    """Let torch's peak of a CUDA device begin anew; what is allocated stays counted."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_device_bytes(device: torch.device) -> int | None:
    """The most bytes that torch's tensors took on a CUDA device since `begin_device_peak`; none on other devices.

    What torch holds in reserve, and the CUDA context itself, some hundred MB, are not counted.
    """
    if device.type != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated(device)


def free_bytes(device: torch.device) -> int | None:
    """Bytes that a device can still give, what torch holds in reserve included; `None` where the system does not tell.

    Of the CPU: what Linux says is available without swapping.
    """
    if device.type == "cuda":
        import torch

        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    return _kibibytes(_MEMINFO, "MemAvailable") if device.type == "cpu" else None


def in_words(count: int) -> str:
    """`412 MB` or `7.70 GB`."""
    return f"{count / 1e6:.0f} MB" if count < 999.5e6 else f"{count / 1e9:.2f} GB"


def shortage(error: BaseException) -> str | None:
    """What has too little memory, as the beginning of a sentence; `None` if `error` and its causes say nothing of that.

    torch has a class for CUDA's only: on the CPU and on `mps` it is a RuntimeError, known by its text.
    """
    torchs_own = getattr(sys.modules.get("torch"), "OutOfMemoryError", ())  # nothing is an instance of ()
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause)
        gpu = isinstance(cause, torchs_own) or (isinstance(cause, RuntimeError) and _GPU.search(text))
        torchs = isinstance(cause, RuntimeError) and "DefaultCPUAllocator" in text
        systems = isinstance(cause, OSError) and cause.errno == errno.ENOMEM
        if gpu or torchs or systems or isinstance(cause, MemoryError):
            return f"The {'GPU' if gpu else 'machine'} has too little memory{_asked(text)}"
        cause = cause.__cause__
    return None


def _asked(text: str) -> str:
    found = _ASKED.search(text)
    if found is None:
        return ""
    size, unit = found.groups()
    return f" ({in_words(int(size)) if unit == 'bytes' else f'{size} {unit}'} more were asked for)"


def _status(key: str) -> int | None:
    """A line of /proc/self/status, in bytes."""
    return _kibibytes(_STATUS, key)


def _kibibytes(file: Path, key: str) -> int | None:
    """A line of such a file, in bytes; `None` where there is no such line."""
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)
