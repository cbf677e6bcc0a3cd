"""The recordings that a run was given to go on from, where its trace keeps their sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.brief import brief_repr
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import TraceError
from dia2.inspect.store.sound import read_exactly

if TYPE_CHECKING:
    from dia2.inspect.trace.data import TraceData

_FULL = 32_768  # of 16 bits


@dataclass(frozen=True)
class PrefixRecording:
    """One speaker's recording, as the codec was given it; its samples are read when they are asked for."""

    __repr__ = brief_repr

    path: Path  # of the trace
    file: str  # in it
    speaker: int
    first: int  # call of the warm-up that reads its first frame
    calls: int  # that read it: its frames
    length: int  # samples
    rate: int  # Hz, the codec's
    name: str  # of the sound file that was given; empty where nothing tells

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.length / self.rate

    @cached_property
    def whole_numbers(self) -> np.ndarray:
        """[length] int16: the samples as they are stored.

        Raises:
            TraceError: the file is missing or damaged.
        """
        return read_exactly(self.path, self.file, self.length, self.rate)

    @cached_property
    def samples(self) -> np.ndarray:
        """[length] float32 in −1 … 1, to 16 bits; what the codec was given beyond that is cut.

        Raises:
            TraceError: the file is missing or damaged.
        """
        return self.whole_numbers.astype(np.float32) / _FULL


def recording_of(trace: TraceData[Any], speaker: int) -> PrefixRecording:
    """The recording of a speaker, counted from 1.

    Raises:
        UsageError: it is no speaker's number.
        TraceError: the trace has no such recording; says which it has.
    """
    number = counted_from_0(speaker, "speaker")
    kept = {recording.speaker: recording for recording in trace.recordings}
    if number in kept:
        return kept[number]
    there = f", only of speaker {' and '.join(map(str, kept))}" if kept else ", and of nobody else"
    raise TraceError(f"{trace.path} keeps no recording of speaker {short(number)}{there}.")


def contains(recordings: Sequence[PrefixRecording]) -> str:
    """Whose recordings something holds, to be said of it; empty where there are none."""
    told = [f"the recording of speaker {each.speaker} ({each.seconds:.1f} s)" for each in recordings]
    return f"contains {' and '.join(told)}" if told else ""


def told_of(traces: Sequence[TraceData[Any]]) -> str:
    """`contains` of one trace, or of several, which are named."""
    if len(traces) == 1:
        return contains(traces[0].recordings)
    told = [(trace.path.name, contains(trace.recordings)) for trace in traces]
    return "; ".join(f"{name} {said}" for name, said in told if said)
