"""A run that goes on, as the explorer gets it: in pieces that grow with every batch of calls.

What is sent of a call is small: machine, streams and codes, in some hundred bytes. Candidates, sound and what the
later rows did come when the run is over.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from dia2.hooks import Frames, Span
from dia2.inspect.columns import frame_columns
from dia2.inspect.explorer.calls import Calls
from dia2.inspect.explorer.pack import pack
from dia2.inspect.explorer.schema import Columns, Header, View
from dia2.inspect.explorer.view import entry_rows, grid_columns, header_of, shown_codes, sounds_in, word_row
from dia2.inspect.recorder import Recorder
from dia2.inspect.trace import load


class Follower:
    """An observer that hands on finished calls as pieces of a view, at most 0.2 s late while frames are made."""

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
        self._trace = trace
        self._calls = Calls(trace.model, self._recorder.entries, trace.run.config.initial_padding, [], 0)
        self._told = len(trace.run.entries)
        header = header_of(trace) | {"live": True, "state": "live", "words": [], "draws": [], "sounds": []}
        self._send(pack(View(header | {"reasons": self._calls.reasons}, grid_columns(trace))))

    def frames(self, frames: Frames, /) -> None:
        """See `Observer`."""
        if self._calls is None:  # it came too late for this run
            return
        columns = {n: c.numpy() for n, c in frame_columns(frames, [], torch.zeros(0, dtype=torch.bool), {}).items()}
        made = self._calls.add(columns)
        header: Header = {"words": self._words(columns), "reasons": self._calls.reasons}
        entries = self._recorder.entries
        header["entries"] = entry_rows(entries[self._told :])
        self._told = len(entries)
        if frames.codes is not None:
            made["grid"] = shown_codes(columns["codes"], self._trace.model)
            header["grid_at"] = int(columns["step"][0]) + 1
        self._send(pack(View(header, made)))

    def _words(self, columns: Columns) -> list[Header]:
        """Words that the machine took in these calls."""
        found = []
        for call in columns["call"][columns["consumed"] > 0].tolist():
            entry, index = self._recorder.entries[self._taken], self._taken
            self._taken += 1
            if entry.tokens:
                prefix, at = index < self._trace.run.prefix_words, sounds_in(self._trace, index, call)
                found.append(word_row(entry.text, entry.speaker, prefix, call, at))
        return found
