"""Opening the lab in a notebook, where what it needs is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.extras import notebook_extra

if TYPE_CHECKING:
    from dia2.inspect.lab.controls import Lab


def lab(trace: Trace[Any], tts: Any, folder: str | Path | None = None, steer: Mapping[str, Any] | None = None) -> Lab:
    """See `Trace.lab`."""
    with notebook_extra("The lab"):
        from dia2.inspect.lab.controls import Lab
    return Lab(trace, tts, folder, steer)
