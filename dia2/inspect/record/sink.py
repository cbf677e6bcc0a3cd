"""The folder of a trace while it is written: its files, its manifest, and why nothing is written any more."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from dia2.common.errors import Dia2Error
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.inspect.store.writer import TraceWriter

logger = logging.getLogger("dia2")

_ANY_RATE, _HIGHEST_RATE = 65_535, 655_350  # Hz; FLAC has tens of them between the two


class TraceSink:
    """What a recorder and its knowledge of one model write to together."""

    def __init__(self, path: str | Path, manifest: dict[str, Any], *, prefix_sound: bool = True) -> None:
        """Take the folder, to which nothing is written before `begin`.

        Args:
            path: the folder.
            manifest: what it says so far.
            prefix_sound: recordings that the run goes on from may be kept with their sound.

        Raises:
            UsageError: it cannot be created.
        """
        self.writer = TraceWriter(path)
        self.manifest = manifest
        self.prefix_sound = prefix_sound
        self.fired: set[str] = set()  # hook points that came
        self.broken: str | None = None  # why nothing is written any more
        self.stored = 0  # calls in finished shards
        self._waiting: list[dict[str, Any]] = []  # phases before it is begun

    def begin(self) -> None:
        """Begin the trace, if that was not done yet: from here on there is something to keep.

        Raises:
            UsageError: an older one cannot be replaced.
            Dia2Error: it cannot be written to.
        """
        if self.writer.begun:
            return
        self.writer.begin()
        try:
            self.writer.manifest(self.manifest)
        except BaseException:
            self.writer.close()
            raise
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self.phase(event)

    def phase(self, event: dict[str, Any]) -> None:
        """Append what a phase's begin or end says, or keep it until the trace is begun."""
        if self.writer.begun:
            self.attempt(self.writer.phase, event)
        else:
            self._waiting.append(event)

    def save(self) -> None:
        """Write the manifest as it is now, once the trace is begun."""
        if self.writer.begun:
            self.attempt(self.writer.manifest, self.manifest)

    def attempt(self, write: Any, *values: Any) -> bool:
        """Write, or note that this trace has ended here; the run itself must not suffer."""
        if self.broken is not None and write != self.writer.manifest:
            return False
        try:
            write(*values)
        except Dia2Error as error:
            if self.broken is None:
                logger.warning("the trace ends at call %d: %s The run goes on.", self.stored, error)
            self.broken = str(error)
            return False
        return True

    def sound(self, waveform: np.ndarray, rate: int, name: str = AUDIO_FILE) -> bool:
        """Write a sound, [N] float32 or int16, if the file's format has such a rate; whether it is there."""
        if rate > _ANY_RATE and (rate > _HIGHEST_RATE or rate % 10):
            logger.warning("the trace keeps no %s: FLAC has no rate of %d Hz", name, rate)
            return False
        return self.attempt(self.writer.audio, waveform, rate, name)

    def result(self, **found: Any) -> None:
        """Add to what the manifest says came out."""
        self.manifest["result"] = (self.manifest["result"] or {}) | found
