"""The simplest observer: one function that is called with every point and its value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

from dia2.common.hooks import PHASES, POINTS, PointFilter, Span, select
from dia2.inspect.record.declared import DeclaredValues
from dia2.inspect.schema.adapter import adapters


class Values(Protocol):
    """What hook points carry in the runs of one family."""

    def begin(self, span: Span) -> None:
        """Take note of what a phase is called with."""

    def end(self, span: Span) -> Mapping[str, object]:
        """Values that come once a run, when the phase that makes them has ended well."""

    def frames(self, frames: Any, wanted: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Values of each of some finished calls, tensors of their own; draws are described only where wanted."""


class Watch:
    """Calls a function with what it asked for: `generate(..., observer=Watch(print, "machine.*"))`.

    A phase comes twice, as a `Span`, at its begin and (`span.ended`) at its end. Values come call by call, in the
    order of `dia2 trace hooks`; while frames are made at most 0.2 s late, on a GPU 0.4 s.
    Tensors are the function's own.
    """

    def __init__(self, function: Callable[[str, object], None], points: PointFilter = "*") -> None:
        """Note what is wanted.

        Args:
            function: called with the name of a point and its value.
            points: see `dia2.inspect.select`.

        Raises:
            UsageError: `points` matches nothing.
        """
        self._function, self._wanted = function, select(points)
        self.points = self._wanted.union(*(adapter.watched | {adapter.begins} for adapter in adapters().values()))
        self._values: dict[str, Values] = {}  # by family
        self._running: Values | None = None  # of the family whose phase came last

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""
        self._of(span).begin(span)
        if span.name in self._wanted:
            self._function(span.name, span)

    def end(self, span: Span, /) -> None:
        """See `Observer`."""
        values = self._of(span).end(span)
        if span.name in self._wanted:
            self._function(span.name, span)
        self._tell(values)

    def _of(self, span: Span) -> Values:
        family = POINTS[span.name].models[0]
        if family not in self._values:
            adapter = adapters()[family]
            self._values[family] = adapter.load("values")() if adapter.values else DeclaredValues(adapter)
        self._running = self._values[family]
        return self._running

    def _tell(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            if name in self._wanted:
                self._function(name, value)

    def frames(self, frames: Any, /) -> None:
        """See `Observer`."""
        if self._wanted <= PHASES:
            return
        assert self._running is not None, "calls come after the phase in which their run begins"
        for values in self._running.frames(frames, self._wanted):
            self._tell(values)
