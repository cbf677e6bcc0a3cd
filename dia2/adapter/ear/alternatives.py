"""Other words for a prefix: how much better, or worse, they explain the sound than those that were given.

A pass over the prefix each, computed when asked for. In a trial with nano's own voice the right words beat the same
list with one word exchanged in 29 of 30 cases, and a list that lacks a word in 24 of 30: this compares hypotheses, and
does not find by itself which word is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dia2.adapter.ear.hear import Progress
from dia2.adapter.ear.hypotheses import Hypotheses, Spoken
from dia2.adapter.ear.listen import Ear
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.runtime.context import RuntimeContext
from dia2.runtime.state_machine import Entry
from dia2.runtime.words import Word

_BEFORE, _BEHIND = 1, 3  # frames around a word in which it is heard
_SHORTEST = 3  # frames


class Alternatives:
    """Compares other words with the given ones, all at the times at which they are said to sound.

    What comes back is a log-likelihood ratio in nats, summed over frames: positive where the alternative explains the
    sound better.
    """

    def __init__(
        self,
        runtime: RuntimeContext,
        codes: Tensor,
        voice_frames: Sequence[int],
        spoken: Spoken,
        following: Sequence[Entry] = (),
    ) -> None:
        """Listen to the words as they were given.

        Args:
            runtime: the checkpoint.
            codes: [K, frames] aligned codes of the prefix.
            voice_frames: length of each recording.
            spoken: the words of each recording, with times within it.
            following: entries of the script.
        """
        self._ear, self._spoken = Ear(runtime, codes), [list(words) for words in spoken]
        self._hypotheses = Hypotheses(runtime.encode, runtime.frame_rate, voice_frames, following)
        self._frames, self._rate = list(voice_frames), runtime.frame_rate
        self._given = self._hear([self._spoken])[0]

    def left_out(self, progress: Progress | None = None) -> np.ndarray:
        """[words] nats over each word's frames if it were not said at all; a pass for each word."""
        every = [(i, j) for i, words in enumerate(self._spoken) for j in range(len(words))]
        without = []
        for i, j in every:
            others = [list(words) for words in self._spoken]
            del others[i][j]
            without.append(others)
        heard = self._hear(without, progress=progress)
        return np.array([self._ratio(heard[n], *self._span(i, j)) for n, (i, j) in enumerate(every)])

    def other_speaker(self) -> list[float]:
        """Nats over each recording if the other speaker said it; of two recordings both are exchanged."""
        heard = self._hear([self._spoken], speakers=(2, 1))[0]
        ends = np.cumsum([0, *self._frames]).tolist()
        return [self._ratio(heard, ends[i], ends[i + 1]) for i in range(len(self._frames))]

    def transcript(self, words: Sequence[Word], speaker: int = 1) -> np.ndarray:
        """[frames] nats in each frame of the prefix if a recording said other words, such as Whisper's second hearing.

        Args:
            words: with times within the recording.
            speaker: whose recording it is.

        Raises:
            UsageError: there is no such recording.
        """
        if not 1 <= speaker <= len(self._spoken):
            raise UsageError(f"There is no recording of speaker {short(speaker)}: choose 1 … {len(self._spoken)}.")
        others = [list(said) for said in self._spoken]
        others[speaker - 1] = list(words)
        difference: np.ndarray = np.nan_to_num(self._given - self._hear([others])[0])
        return difference

    def _hear(
        self, spoken: Sequence[Spoken], speakers: Sequence[int] = (1, 2), progress: Progress | None = None
    ) -> np.ndarray:
        hypotheses = [self._hypotheses.said(words, speakers) for words in spoken]
        return self._ear.sounding(self._ear.listen(hypotheses, progress))

    def _span(self, recording: int, number: int) -> tuple[int, int]:
        """The frames of the prefix in which a word is heard."""
        word, before = self._spoken[recording][number], sum(self._frames[:recording])
        start, end = round(word.start * self._rate), round(word.end * self._rate)
        last = before + self._frames[recording]
        return max(0, before + start - _BEFORE), min(last, before + max(end, start + _SHORTEST) + _BEHIND)

    def _ratio(self, heard: np.ndarray, first: int, last: int) -> float:
        return float(np.nansum(self._given[first:last] - heard[first:last]))
