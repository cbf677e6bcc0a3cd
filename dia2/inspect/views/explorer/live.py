"""A run that goes on, as the explorer gets it: in pieces that grow with every batch of calls.

What is sent of a call is small: machine, streams and codes, in some hundred bytes. Candidates, sound and what the
later rows did come when the run is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dia2.common.hooks import Span
from dia2.inspect.record.recorder import Recorder
from dia2.inspect.schema.adapter import adapters
from dia2.inspect.schema.view import View, by_call
from dia2.inspect.trace.load import load
from dia2.inspect.views.explorer.pack import pack
from dia2.inspect.views.explorer.view import pipeline_header


class Live(Protocol):
    """A family's views of a run that goes on, made of its trace and its recording when it begins."""

    def first(self) -> View:
        """All that is known, without calls."""

    def next(self, frames: Any) -> View:
        """Some finished calls, and what of the header has changed."""


class Follower:
    """An observer that hands on finished calls as pieces of a view, at most 0.2 s late while frames are made."""

    def __init__(self, recorder: Recorder, send: Callable[[bytes], None]) -> None:
        """Begin before the run does.

        Args:
            recorder: records the same run.
            send: takes packed views: the first whole, without calls; the others of the next calls each.
        """
        self._recorder, self._send = recorder, send
        self._begins = {adapter.begins: adapter for adapter in adapters().values() if adapter.live is not None}
        self.points = frozenset(self._begins) | {"step_tokens"}  # no logits: nothing is computed for it
        self._live: Live | None = None

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""

    def end(self, span: Span, /) -> None:
        """See `Observer`: the run is about to begin."""
        adapter = self._begins.get(span.name)
        if span.error is not None or self._live is not None or adapter is None:
            return
        trace = load(self._recorder.path)  # which says already what the run will be
        self._live = adapter.load("live")(trace, self._recorder.recording(adapter.family))
        view = self._live.first()
        view.header.update(pipeline=pipeline_header(trace), by_call=[])
        self._send(pack(view))

    def frames(self, frames: Any, /) -> None:
        """See `Observer`."""
        if self._live is not None:  # else it came too late for this run
            view = self._live.next(frames)
            view.header["by_call"] = by_call(view.columns, len(view.columns["step"]))
            self._send(pack(view))
