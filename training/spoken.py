"""What was said when: entries of a script with their times."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Spoken:
    """One entry of a script; a break has no text, and begins where the next word would have."""

    text: str
    speaker: int  # 1 or 2; 0 for a break
    start: float  # seconds
    end: float


def script_of(spoken: Sequence[Spoken], tagged: Container[int] = ()) -> str:
    """The script of these entries, as a user would write it.

    Args:
        spoken: the entries.
        tagged: indices of words that have their speaker's tag though the same one spoke before.
    """
    pieces: list[str] = []
    speaker = 0
    for index, entry in enumerate(spoken):
        if not entry.text:
            pieces.append(f'<break time="{entry.end - entry.start:.3f}s"/>')
            continue
        if entry.speaker != speaker or index in tagged:
            speaker = entry.speaker
            pieces.append(f"[S{speaker}]")
        pieces.append(entry.text)
    return " ".join(pieces)


def swap_speakers(spoken: Sequence[Spoken]) -> tuple[Spoken, ...]:
    """The same entries with speakers 1 and 2 exchanged."""
    return tuple(replace(entry, speaker=entry.speaker and 3 - entry.speaker) for entry in spoken)


def sentence_starts(spoken: Sequence[Spoken]) -> list[int]:
    """Indices of the words that begin a sentence, but for the first."""
    before = [entry.text.endswith((".", "?", "!")) for entry in spoken[:-1]]
    return [i for i, (ended, entry) in enumerate(zip(before, spoken[1:], strict=True), 1) if ended and entry.text]


def turn_lengths(spoken: Sequence[Spoken]) -> list[int]:
    """How many entries each turn has, a break counting to the turn before it."""
    lengths: list[int] = []
    speaker = 0
    for entry in spoken:
        if entry.speaker not in (0, speaker) or not lengths:
            speaker = entry.speaker
            lengths.append(0)
        lengths[-1] += 1
    return lengths
