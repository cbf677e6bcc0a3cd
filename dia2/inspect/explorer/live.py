"""The explorer of a run that goes on: it grows with every batch of calls, and becomes the whole one at the end.

What is sent of a call is small: machine, streams and codes, in some hundred bytes. Candidates, sound and what the
later rows did come when the run is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dia2.errors import UsageError
from dia2.hooks import Frames, PointFilter, Span, observing
from dia2.inspect.columns import frame_columns
from dia2.inspect.explorer.calls import Calls, Columns
from dia2.inspect.explorer.pack import pack
from dia2.inspect.explorer.view import Header, View, entry_rows, grid_columns, header_of, shown_codes, text
from dia2.inspect.layout import Level
from dia2.inspect.recorder import DEFAULT_BUDGET, Recorder, record
from dia2.inspect.trace import load

if TYPE_CHECKING:
    from dia2.inspect.explorer.widget import LiveExplorer


@contextmanager
def follow(
    path: str | Path, *, level: Level = "topk", hooks: PointFilter | None = None, budget: int = DEFAULT_BUDGET
) -> Iterator[LiveExplorer]:
    """Record the run that is made inside this block, and show it in the notebook meanwhile.

        with follow("run.dia2trace") as explorer:
            tts.generate(script)
        explorer.trace  # the whole trace

    Arguments and errors are those of `dia2.inspect.record`. A run that was interrupted stays on the page as far as it
    came.
    """
    try:
        from IPython.display import display

        from dia2.inspect.explorer.widget import LiveExplorer
    except ImportError as error:
        raise UsageError(f"To follow a run needs {error.name}: pip install 'dia2-inspect[notebooks]'.") from error
    explorer = LiveExplorer()
    display(explorer)  # type: ignore[no-untyped-call]  # IPython leaves it untyped
    try:
        with (
            record(path, level=level, hooks=hooks, budget=budget) as recorder,
            observing(Follower(recorder, explorer.add)),
        ):
            yield explorer
    finally:
        trace = load(path)
        if trace.manifest.run is not None and len(trace):
            explorer.finish(trace)


class Follower:
    """An observer that hands on finished calls as pieces of a view, at most 0.2 s late."""

    points = frozenset({"state.build", "step_tokens"})  # no logits: nothing is computed for it

    def __init__(self, recorder: Recorder, send: Callable[[bytes], None]) -> None:
        """Begin before the run does.

        Args:
            recorder: records the same run.
            send: takes packed views: the first whole, without calls; the others of the next calls each.
        """
        self._recorder, self._send = recorder, send
        self._calls: Calls | None = None
        self._told = 0  # entries that the front end knows
        self._taken = 0  # entries that the machine took

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""

    def end(self, span: Span, /) -> None:
        """See `Observer`: the run is about to begin."""
        if span.error is not None or self._calls is not None:
            return
        trace = load(self._recorder.path)  # which says already what the run will be
        self._model, self._prefix_words = trace.model, trace.run.prefix_words
        self._calls = Calls(trace.model, self._recorder.entries, trace.run.config.initial_padding, [], 0)
        self._told = len(trace.run.entries)
        header = header_of(trace) | {"live": True, "state": "live", "words": [], "draws": [], "sounds": []}
        self._send(pack(View(header | {"reasons": self._calls.reasons}, grid_columns(trace))))

    def frames(self, frames: Frames, /) -> None:
        """See `Observer`."""
        if self._calls is None:  # it came too late for this run
            return
        columns = {n: c.numpy() for n, c in frame_columns(frames, [], torch.zeros(0), {}).items()}
        made = self._calls.add(columns)
        header: Header = {"words": self._words(columns), "reasons": self._calls.reasons}
        entries = self._recorder.entries
        header["entries"] = entry_rows(entries[self._told :])
        self._told = len(entries)
        if frames.codes is not None:
            made["grid"] = shown_codes(columns["codes"], self._model)
            header["grid_at"] = int(columns["step"][0]) + 1
        self._send(pack(View(header, made)))

    def _words(self, columns: Columns) -> list[dict[str, Any]]:
        """Words that the machine took in these calls."""
        found = []
        for call in columns["call"][columns["consumed"] > 0].tolist():
            entry, prefix = self._recorder.entries[self._taken], self._taken < self._prefix_words
            self._taken += 1
            if entry.tokens:
                found.append({"text": text(entry.text), "speaker": entry.speaker, "prefix": prefix, "call": call})
        return found
