"""How the words that a run was given fit the sound of its recordings: what the explorer shows of it, of any family.

It is `fit` of a view's header, and `None` where a run has no such words. A drift is the seconds by which a word comes
after its sound; `None` stands wherever it cannot be told. Moments are places on the axis of calls.
"""

from __future__ import annotations

from typing import TypedDict


class FitWord(TypedDict):
    """A word of a recording."""

    text: str
    call: int  # to look at
    taken: int | None  # the call that took it; `None`: none did
    asked: float | None  # second of the recording at which it is said to sound; `None`: not known
    drift: float | None


class FitCurve(TypedDict):
    """How well some words in a row fit their sound, by the drift that they might have."""

    words: str  # the first and the last of them
    gain: list[float]  # by `late` of the recording: how much better that drift fits than none
    drift: float | None
    at: int | None  # where in `gain` that is
    told: str  # what follows from it


class Mended(TypedDict):
    """A word list with its times set right."""

    text: str  # to copy
    told: str  # what to do with it


class FitRecording(TypedDict):
    """A recording, and its words."""

    speaker: int
    title: str
    told: str  # what is found
    by: str  # what tells it, in a word or two
    why: str  # likewise, in a sentence
    unit: str  # of the gain
    late: list[float]  # seconds that were tried, ascending
    curves: list[FitCurve]
    words: list[FitWord]
    mended: Mended | None


class Fit(TypedDict):
    """All recordings."""

    name: str  # of the tab that shows them
    least: float  # seconds; what is less is usual
    windows: list[tuple[float, float, float | None]]  # from a moment up to another, and the drift there
    recordings: list[FitRecording]
