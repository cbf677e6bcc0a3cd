"""Which of the two models a trace or an engine is of, for what goes with one of them only."""

from __future__ import annotations

from typing import Any

from dia2.checks import short
from dia2.engine import Dia2
from dia2.errors import TraceError, UsageError
from dia2.inspect.stored import Stored

_NAMES = {"dia2": "Dia2", "dia": "Dia"}


class OtherFamilyError(TraceError, AttributeError):
    """A trace is of the model whose runs do not have what was asked for."""


def check_trace(trace: object, what: str) -> None:
    """Refuse a trace that is none of Dia2.

    Args:
        trace: as the caller gave it.
        what: what needs one, as a subject: `plots.grid`.

    Raises:
        UsageError: it is one of Dia, or no trace at all.
    """
    if isinstance(trace, Stored) and trace.family == "dia2":
        return
    if isinstance(trace, Stored):
        raise UsageError(
            f"{what} needs a trace of Dia2, and {trace.path} is one of Dia: look at it with trace.explore(), "
            "trace.to_html() or dia2 trace."
        )
    raise UsageError(f"{what} needs a trace of Dia2, not {short(trace)}: open one by dia2.inspect.load(path).")


def check_engine(tts: object, what: str) -> None:
    """Refuse what is no `Dia2`.

    Raises:
        UsageError: says what was given.
    """
    if not isinstance(tts, Dia2):
        raise UsageError(f"{what} needs a Dia2, such as Dia2.nano(), not {_kind(tts)}.")


def missing(trace: Stored, name: str) -> AttributeError:
    """The error for an attribute that a trace lacks: it says so where the other model's traces have it."""
    if not name.startswith("_") and not hasattr(type(trace), name):
        other = _other(trace)
        if hasattr(other, name):
            return OtherFamilyError(
                f"{trace.path} is a trace of {_NAMES[trace.family]}, and {name!r} is of {_NAMES[other.family]}'s only."
            )
    return AttributeError(f"{type(trace).__name__!r} object has no attribute {name!r}")


def _other(trace: Stored) -> type[Stored]:
    from dia2.inspect.dia.trace import DiaTrace
    from dia2.inspect.trace import Trace

    return Trace if trace.family == "dia" else DiaTrace


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"a {name}" if name == "Dia" else short(value)
