"""A run of Dia2 that goes on, as the explorer gets it."""

from __future__ import annotations

import torch

from dia2.adapter.columns import frame_columns
from dia2.adapter.recording import Dia2Recording
from dia2.adapter.trace import Dia2Trace
from dia2.adapter.view import clock, entry_rows, grid_columns, header_of, shown_codes, sounds_in, word_row
from dia2.adapter.view_calls import Calls
from dia2.inspect.schema.view import Columns, Header, View
from dia2.runtime.observed import Frames


class Live:
    """See `dia2.inspect.views.explorer.live.Live`."""

    def __init__(self, trace: Dia2Trace, recording: Dia2Recording) -> None:
        self._trace, self._recording = trace, recording
        self._calls = Calls(trace.model, recording.entries, trace.run.config.initial_padding)
        self._told = len(trace.run.entries)  # entries that the front end knows
        self._taken = 0  # entries that the machine took
        self._begun = trace.run.config.includes_prefix  # the frame is known with which the sound begins

    def first(self) -> View:
        """See `Live`."""
        header = header_of(self._trace) | {"live": True, "state": "live", "words": [], "draws": [], "sounds": []}
        return View(header | {"reasons": self._calls.reasons, "seconds": None}, grid_columns(self._trace))

    def next(self, frames: Frames) -> View:
        """See `Live`."""
        columns = {n: c.numpy() for n, c in frame_columns(frames, [], torch.zeros(0, dtype=torch.bool), {}).items()}
        made = self._calls.add(columns)
        header: Header = {"words": self._words(columns), "reasons": self._calls.reasons}
        entries = self._recording.entries
        header["entries"] = entry_rows(entries[self._told :])
        header |= self._clock(columns)
        self._told = len(entries)
        if frames.codes is not None:
            made["grid"] = shown_codes(columns["codes"], self._trace.model)
            header["grid_at"] = int(columns["step"][0]) + 1
        return View(header, made)

    def _clock(self, columns: Columns) -> Header:
        """The clock, once: as soon as these calls tell with which frame the sound begins, see `Dia2Trace.crop`."""
        new = (columns["phase"] == 1) & (columns["emitted"][:, 0] == self._trace.model.tokens.new_word)
        if self._begun or not new.any():
            return {}
        self._begun = True
        first = int(columns["step"][new.argmax()])
        return {"clock": clock(self._trace, max(0, first - self._trace.run.config.initial_padding))}

    def _words(self, columns: Columns) -> list[Header]:
        """Words that the machine took in these calls."""
        found = []
        for call in columns["call"][columns["consumed"] > 0].tolist():
            entry, index = self._recording.entries[self._taken], self._taken
            self._taken += 1
            if entry.tokens:
                prefix, at = index < self._trace.run.prefix_words, sounds_in(self._trace, index, call)
                found.append(word_row(entry.text, entry.speaker, prefix, call, at))
        return found
