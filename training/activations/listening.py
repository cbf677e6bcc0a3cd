"""Who is heard in a run, and which of its words: by pitch, and by Whisper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.analysis import labels_of
from dia2.common.errors import UsageError
from training.activations.intervals import Share, share
from training.judge import Ear


def count_heard(ear: Ear, trace: Dia2Trace, script: str) -> tuple[int, int]:
    """Of a script's words, how many are heard in their order; and how many there are."""
    assert trace.audio is not None, "a run with its sound"
    wanted = ear.plain(re.sub(r"\[S[12]\]", "", script))
    alike = SequenceMatcher(None, wanted, ear.hear(*trace.audio), autojunk=False).get_matching_blocks()
    return sum(block.size for block in alike), len(wanted)


@dataclass(frozen=True)
class Voices:
    """Two voices that are told apart by their pitch."""

    middle: tuple[float, float]  # Hz: the median of each

    @classmethod
    def of(cls, traces: Sequence[Dia2Trace]) -> Voices:
        """Learnt from runs in which both speak.

        Raises:
            UsageError: one of them says nothing voiced, or they differ by less than a tenth.
        """
        hertz = [np.concatenate([pitches(trace, speaker) for trace in traces]) for speaker in (1, 2)]
        if not all(map(len, hertz)):
            raise UsageError("One of the two voices is never heard in these runs: record more, or other scripts.")
        first, second = (float(np.median(found)) for found in hertz)
        if abs(np.log(second / first)) < 0.1:
            raise UsageError(
                f"Pitch does not tell these voices apart: their medians are {first:.0f} and {second:.0f} Hz."
            )
        return cls((first, second))

    def second(self, hertz: np.ndarray) -> tuple[int, int]:
        """Of voiced frames, how many are nearer to the second voice as ears count; and how many there are."""
        boundary = np.sqrt(self.middle[0] * self.middle[1])
        return int(((hertz > boundary) == (self.middle[1] > self.middle[0])).sum()), len(hertz)

    def given_to_second(self, traces: Sequence[Dia2Trace], speaker: int) -> Share:
        """Of what a speaker says in these runs, the share of voiced frames that count as the second voice's."""
        return share(*np.array([self.second(pitches(trace, speaker)) for trace in traces], np.float64).T)


def pitches(trace: Dia2Trace, speaker: int | None = None) -> np.ndarray:
    """Hz of the voiced frames of a run; of one speaker's words, or of all."""
    found = labels_of(trace)
    chosen = np.isfinite(found.pitch) & (True if speaker is None else found.speaker == speaker)
    hertz: np.ndarray = found.pitch[chosen]
    return hertz
