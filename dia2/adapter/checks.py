"""Refusing what is not of Dia2, for what goes with its runs only."""

from __future__ import annotations

from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.trace.trace import Trace


def check_trace(trace: object, what: str) -> None:
    """Refuse a trace that is none of Dia2.

    Args:
        trace: as the caller gave it.
        what: what needs one, as a subject: `plots.grid`.

    Raises:
        UsageError: it is one of another family, or no trace at all.
    """
    if isinstance(trace, Dia2Trace):
        return
    if isinstance(trace, Trace):
        raise UsageError(
            f"{what} needs a trace of Dia2, and {trace.path} is one of {trace.adapter.title}: look at it with "
            "trace.explore(), trace.to_html() or dia2 trace."
        )
    raise UsageError(f"{what} needs a trace of Dia2, not {short(trace)}: open one by dia2.inspect.load(path).")
