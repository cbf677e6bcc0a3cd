"""Notes for views: a file of notes that cannot be read must not hide the run that they are about."""

from __future__ import annotations

from typing import Any

from dia2.common.errors import TraceError
from dia2.common.messages import warn
from dia2.inspect.trace.trace import Trace


def readable_notes(trace: Trace[Any]) -> list[dict[str, Any]]:
    """A trace's notes, `call` and `text` each; none, and a warning that says why, where they cannot be read."""
    try:
        return [vars(note) for note in trace.notes]
    except TraceError as error:
        warn(f"The notes are not shown: {error}", stacklevel=2)
        return []
