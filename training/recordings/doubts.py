"""Recordings whose words are probably not those of their transcript: set aside, and listed to be heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dia2.runtime.script_parser import Encode
from training.recordings.judging import Judged
from training.recordings.kept import Prepared
from training.recordings.timing import MOST_WORDS
from training.spoken import Spoken

_FEW = 3  # words; of fewer their rate says nothing
_FRAME_RATE = 12.5


@dataclass(frozen=True)
class Ready:
    """A recording that was prepared, and what speaks against it."""

    judged: Judged
    prepared: Prepared
    words_a_second: float
    tokens: int  # of the checkpoint, that its words are
    doubts: tuple[str, ...]  # empty: none

    @property
    def too_many_tokens(self) -> bool:
        """Its words are more tokens than the checkpoint can take in its time: one a frame."""
        return self.tokens > self.prepared.utterance.codes.shape[1]

    @property
    def text(self) -> str:
        """What is said, as it is learnt."""
        return " ".join(entry.text for entry in self.prepared.utterance.spoken if entry.text)

    @property
    def worth(self) -> tuple[bool, float, float]:
        """By which the worst come first."""
        matched = self.prepared.matched
        return not self.doubts, 1.0 if matched is None else matched, -self.words_a_second


def doubted(judged: Judged, prepared: Prepared, encode: Encode, least_matched: float) -> Ready:
    """What speaks against a recording.

    Args:
        judged: what is known of it.
        prepared: what was made of it.
        encode: text to the checkpoint's tokens.
        least_matched: share of the transcript's words that Whisper must have heard, 0 … 1.
    """
    utterance = prepared.utterance
    words = [entry for entry in utterance.spoken if entry.text]
    spoken = max(words[-1].end - words[0].start, 1 / _FRAME_RATE)
    rate = len(words) / spoken
    doubts: list[str] = []
    if prepared.matched is not None and prepared.matched < least_matched:
        doubts.append(f"it and what Whisper heard share {prepared.matched:.0%} of their words")
    if len(words) >= _FEW and rate > MOST_WORDS:
        doubts.append(f"{rate:.1f} words a second, and nobody speaks more than {MOST_WORDS:g}")
    tokens = sum(len(encode(word.text)) for word in words)
    frames = utterance.codes.shape[1]
    if tokens > frames:
        doubts.append(f"its words are {tokens} tokens of this checkpoint, which takes {frames} in this time")
    return Ready(judged, prepared, rate, tokens, tuple(doubts))


def speakers_of(spoken: Sequence[Spoken]) -> frozenset[int]:
    """Who speaks."""
    return frozenset(entry.speaker for entry in spoken if entry.text)


def worst(ready: Sequence[Ready], most: int = 10) -> list[Ready]:
    """Those to be heard first: the doubtful, then those of which least was heard."""
    found = [one for one in ready if one.doubts or (one.prepared.matched is not None and one.prepared.matched < 1)]
    return sorted(found, key=lambda one: one.worth)[:most]
