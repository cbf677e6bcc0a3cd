"""What goes with runs of one model family only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dia2.common.errors import TraceError
from dia2.inspect.schema.adapter import adapters

if TYPE_CHECKING:
    from dia2.inspect.trace.data import TraceData


class OtherFamilyError(TraceError, AttributeError):
    """A trace is of a model whose runs do not have what was asked for."""


def offered(trace: TraceData[Any], name: str) -> Callable[..., Any]:
    """What the trace's family declares under `name`.

    Raises:
        TraceError: it does not; says whose does.
    """
    if getattr(trace.adapter, name) is None:
        raise _of_others(trace, name, [adapter.title for adapter in adapters().values() if getattr(adapter, name)])
    function: Callable[..., Any] = trace.adapter.load(name)
    return function


def missing(trace: TraceData[Any], name: str) -> AttributeError:
    """The error for an attribute that a trace lacks: it says so where traces of other families have it."""
    if not name.startswith("_") and not hasattr(type(trace), name):
        others = [adapter for adapter in adapters().values() if adapter is not trace.adapter]
        titles = [adapter.title for adapter in others if hasattr(adapter.load("trace"), name)]
        if titles:
            return _of_others(trace, name, titles)
    return AttributeError(f"{type(trace).__name__!r} object has no attribute {name!r}")


def _of_others(trace: TraceData[Any], name: str, titles: list[str]) -> OtherFamilyError:
    whose = f"{' and '.join(titles)}'s only" if titles else "no installed model's"
    return OtherFamilyError(f"{trace.path} is a trace of {trace.adapter.title}, and {name!r} is of {whose}.")
