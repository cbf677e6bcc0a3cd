"""The picture of a call: which boxes its data flows through, in which order, and what each of them shows of a call.

A family declares it as data and the explorer draws it: boxes in stages, one stage a step of the call, and arrows. What
a box shows are texts with `{column}` in them, which says what a column has at the call, and figures of columns. Besides
columns a text may name what the explorer knows of any call: see `KNOWN`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

# What a call has in every view: its number, that of the next one, the column of the grid that it writes, the frame that
# this completes, the seconds at which that sounds, and the word that the call takes. Any of the last three may be none.
KNOWN = frozenset({"call", "next", "writes", "frame", "second", "word"})
_NAMES = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Line:
    """A text."""

    told: str
    otherwise: str = ""  # told where the first one names what is none; "": nothing
    strong: bool = False

    kind: Literal["line"] = "line"

    @property
    def names(self) -> set[str]:
        """What it shows."""
        return {*_NAMES.findall(self.told), *_NAMES.findall(self.otherwise)}


@dataclass(frozen=True)
class Token:
    """A token of a stream of text as a call reads it: that which the call before gave."""

    column: str
    label: str

    kind: Literal["token"] = "token"

    @property
    def names(self) -> set[str]:
        """See `Line`."""
        return {self.column}


@dataclass(frozen=True)
class Meter:
    """A bar of what a column counts."""

    column: str
    most: int

    kind: Literal["meter"] = "meter"

    @property
    def names(self) -> set[str]:
        """See `Line`."""
        return {self.column}


@dataclass(frozen=True)
class Codes:
    """A cell for each codebook of a column of the grid, coloured by its surprise."""

    at: str  # a column, or one of `KNOWN`, that says which column of the grid
    first: int = 0  # codebook

    kind: Literal["codes"] = "codes"

    @property
    def names(self) -> set[str]:
        """See `Line`."""
        return {self.at, "grid"}


@dataclass(frozen=True)
class Choice:
    """What a draw chose and how likely that was."""

    book: int | None  # codebook; `None`: the draw that is of none

    kind: Literal["choice"] = "choice"

    @property
    def names(self) -> set[str]:
        """See `Line`."""
        return {"draw_choice"}


Item = Line | Token | Meter | Codes | Choice


@dataclass(frozen=True)
class Box:
    """Something that data flows through."""

    name: str  # by which arrows name it
    title: str
    rows: tuple[int, ...]  # numbers of the family's rows that do it
    items: tuple[Item, ...] = ()
    lane: tuple[float, float] = (0.0, 1.0)  # of the stage's width, from and up to
    paint: Literal["data", "net", "draw"] = "draw"
    given: str = ""  # told instead of all items where a call draws nothing; "": they hold there too


@dataclass(frozen=True)
class Stage:
    """Boxes that work at the same time: a step of the call."""

    told: Line  # what happens in it
    boxes: tuple[Box, ...]
    given: str = ""  # told where a call draws nothing; "": the same
    once: bool = False  # in a whole run, not in every call


@dataclass(frozen=True)
class Arrow:
    """From a box to another one; to one of an earlier stage: in the next call."""

    start: str
    end: str


@dataclass(frozen=True)
class Pipeline:
    """The picture."""

    told: str  # what a call does, in a sentence
    before: tuple[Box, ...]  # done before the first call
    stages: tuple[Stage, ...]
    arrows: tuple[Arrow, ...]

    def __post_init__(self) -> None:
        """Refuse arrows to nowhere.

        Raises:
            ValueError: names the box that is not there, or that is there twice.
        """
        names = [box.name for box in self.boxes]
        for name in {name for name in names if names.count(name) > 1}:
            raise ValueError(f"There are two boxes {name!r} in this picture of a call.")
        for end in (end for arrow in self.arrows for end in (arrow.start, arrow.end)):
            if end not in names:
                raise ValueError(f"An arrow names the box {end!r}, which this picture of a call does not have.")

    @property
    def boxes(self) -> Iterator[Box]:
        """All of them."""
        yield from self.before
        for stage in self.stages:
            yield from stage.boxes

    @property
    def columns(self) -> set[str]:
        """Columns that a view has to have for all of it to be shown; of a redacted trace some are missing."""
        found = set(_NAMES.findall(self.told))
        for stage in self.stages:
            found |= stage.told.names | set(_NAMES.findall(stage.given))
        for box in self.boxes:
            found |= set(_NAMES.findall(box.given)).union(*(item.names for item in box.items))
        return found - KNOWN

    def header(self) -> dict[str, Any]:
        """As the front end gets it."""
        return asdict(self)
