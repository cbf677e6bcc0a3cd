"""Steps for `benchmarks/gpu.py` that need no device: some find something, the others go wrong."""

from __future__ import annotations

import os
import time
from typing import Any


def finds(report: Any, value: float = 1.0, **figure: Any) -> None:
    """A figure, and the process that found it."""
    report.note("pid", os.getpid())
    report.figure("found", value, "frames/s", **figure)


def device(report: Any, called: str) -> None:
    """The facts of a device."""
    report.note("device", {"available": True, "name": called, "cache": 60_000_000})


def dies(report: Any) -> None:
    """As an assertion of a kernel, or of a library, may end a process."""
    report.figure("before", 1.0, "ms")
    os.write(1, b"what a library says before it gives up\n")
    os.abort()


def raises(report: Any) -> None:
    """What goes wrong in Python."""
    raise RuntimeError("out of [memory]\nand more")


def hangs(report: Any) -> None:
    """Never done; so is a process that it has started."""
    report.figure("before", 1.0, "ms")
    child = os.fork()
    if child:
        report.note("pids", [os.getpid(), child])
    time.sleep(600)
