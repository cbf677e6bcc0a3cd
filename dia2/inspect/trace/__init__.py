"""A recorded run as data."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("Frames", "Trace", "load", "sample"):
        from dia2.adapter import trace

        return getattr(trace, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
