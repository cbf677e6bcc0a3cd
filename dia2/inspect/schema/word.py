"""One word of a run."""

from __future__ import annotations

from dataclasses import dataclass

from dia2.common.brief import brief_repr


@dataclass(frozen=True)
class TraceWord:
    """A word of the run, spoken or not."""

    __repr__ = brief_repr

    index: int  # among the words
    text: str
    speaker: int
    prefix: bool  # it belongs to the prefix
    tokens: list[int]
    call: int | None  # at which the machine took it; `None`: never
    step: int | None
    seconds: float | None  # when it sounds, from the start of the audio, which can end before; `None`: unspoken
