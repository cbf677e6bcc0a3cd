"""Hypotheses about a prefix: which words its recordings say, and when, as the warm-up would be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dia2.common.hooks import unobserved
from dia2.runtime.script_parser import Encode
from dia2.runtime.sounding import SPEAKER_1_OFFSET
from dia2.runtime.state_machine import Entry
from dia2.runtime.voice_clone import words_to_entries
from dia2.runtime.words import Word

Spoken = Sequence[Sequence[Word]]  # the words of each recording, with times within it


@dataclass(frozen=True)
class Hypothesis:
    """What the machine would be fed with."""

    entries: Sequence[Entry]  # both speakers' words, and what follows them
    new_word_steps: Sequence[int]  # step at which each word of the prefix is forced


class Hypotheses:
    """Makes them for one prefix.

    In the shifted ones each word is asked for as many frames after its sound as in the main loop, whoever says it. The
    runtime itself asks for speaker 2's prefix words three frames earlier, which is no fault of their times; see
    `dia2.runtime.sounding`.
    """

    def __init__(
        self, encode: Encode, frame_rate: float, voice_frames: Sequence[int], following: Sequence[Entry] = ()
    ) -> None:
        """Note what is the same in all of them.

        Args:
            encode: the tokenizer's.
            frame_rate: frames a second.
            voice_frames: length of each recording.
            following: entries of the script, which the second stream looks ahead to.
        """
        self._encode, self._rate, self._frames = encode, frame_rate, list(voice_frames)
        self._following = list(following)

    def late(self, spoken: Spoken, frames: int) -> Hypothesis:
        """All words come so many frames late (negative: early): here they stand as much earlier.

        Words that would fall off their recording are left out.

        Args:
            spoken: the words as they were given.
            frames: by how many.
        """
        seconds = -frames / self._rate
        moved = []
        for words, length in zip(spoken, self._frames, strict=True):
            end = length / self._rate
            inside = [word for word in words if -0.5 <= (word.start + seconds) * self._rate < length - 0.5]
            moved.append([replace(w, start=max(0.0, w.start + seconds), end=min(w.end + seconds, end)) for w in inside])
        return self.said(moved)

    def said(self, spoken: Spoken, speakers: Sequence[int] = (1, 2)) -> Hypothesis:
        """Any words of the recordings, each set in time by the recording it is in.

        Args:
            spoken: the words.
            speakers: who speaks each recording.
        """
        entries: list[Entry] = []
        steps: list[int] = []
        before = 0
        for words, length, speaker in zip(spoken, self._frames, speakers, strict=False):
            if words:
                with unobserved():
                    own, at = words_to_entries(words, self._encode, speaker, self._rate)
                entries += own
                steps += [step + before + SPEAKER_1_OFFSET for step in at]
            before += length
        return Hypothesis([*entries, *self._following], steps)
