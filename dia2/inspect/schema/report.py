"""What is said of a trace: facts for `--json`, and blocks of text that a terminal, or another host, lays out.

Texts may hold anything that a trace holds: whoever shows them makes them safe. Styles are names; hosts give them looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

Facts = dict[str, Any]  # of JSON's types
Style = Literal["", "head", "label", "mark", "dim", "failed", "speaker1", "speaker2"]
Align = Literal["left", "right"]
Item = TypeVar("Item")
WIDEST = 10_000  # cells of a line


def picked(source: object, *names: str) -> Facts:
    """Some fields of an object, or items of a mapping, as facts of the same names."""
    return {name: source[name] if isinstance(source, Mapping) else getattr(source, name) for name in names}


@dataclass(frozen=True)
class Cut:
    """A text that is cut where there is no room for it."""

    text: str
    style: Style = ""
    before: str = ""  # whole, as what comes after it
    after: str = ""
    room: int | None = None  # cells for all three; `None`: what its column leaves to them


@dataclass(frozen=True)
class Fitting:
    """A text, and how many of a table's optional columns were shown, where not all were: `; 3 of 8 codebooks fit`."""

    text: str
    what: str
    style: Style = ""


Part: TypeAlias = str | int | tuple[str | int, Style] | Cut | Fitting
Text: TypeAlias = Part | list[Part]


@dataclass(frozen=True)
class Roomy:
    """A cell that says more where its column is wide."""

    wide: Text
    narrow: Text
    least: int  # cells from which on it is wide


Cell: TypeAlias = Text | Roomy


@dataclass(frozen=True)
class Line:
    """One line, which is not wrapped."""

    text: Text = ""


@dataclass(frozen=True)
class Title:
    """A heading, after an empty line."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Text that is wrapped."""

    text: Text
    indent: int = 0


@dataclass(frozen=True)
class Note:
    """What a sign in the blocks above means."""

    sign: str
    text: str
    style: Style = "mark"
    gap: int = 1


@dataclass(frozen=True)
class Pairs:
    """Labels with what belongs to them."""

    rows: Sequence[tuple[str, Text]]
    indent: int = 2


@dataclass(frozen=True)
class Flex:
    """The width of columns that share what the others leave, in equal parts."""

    least: int = 1
    most: int = WIDEST
    early: int = WIDEST  # before more than one optional column is shown


@dataclass(frozen=True)
class Column:
    """One column of a table; of the optional ones as many are shown as fit, and at least one."""

    head: str = ""
    width: int | None = None  # `None`: an equal part of what the others leave
    align: Align = "left"
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """Cells side by side, each wrapped to its column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    gap: int = 2
    indent: int = 0
    margin: int = 0  # cells that stay free on the right
    flex: Flex = Flex()
    heads: Style = "head"

    @staticmethod
    def of(items: Sequence[Item], *columns: tuple[Column, Callable[[Item], Cell]], **layout: Any) -> Table:
        """A table of items, each column with what gives its cell; `layout`: the other fields."""
        rows = [[cell(item) for _, cell in columns] for item in items]
        return Table([column for column, _ in columns], rows, **layout)


@dataclass(frozen=True)
class Rows:
    """What a run went through, as `dia2.inspect.trace.header.row_facts` tells it."""

    rows: Sequence[Facts]
    full: bool = False  # with all that a row read, changed and gave; else a line each


@dataclass(frozen=True)
class Strip:
    """Tracks of one character a frame under a ruler, in several bands if they do not fit."""

    what: str  # is counted from left to right
    tracks: dict[str, str]


Block: TypeAlias = Line | Title | Paragraph | Note | Pairs | Table | Rows | Strip


@dataclass(frozen=True)
class Report:
    """One view of a trace."""

    facts: Facts
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Sign:
    """What one character of a grid stands for."""

    meaning: str
    style: Style = ""
    code: bool = True  # whether a code stands in such a cell
    told: str = ""  # in a figure's legend, where it differs from the others there


@dataclass(frozen=True)
class Grid:
    """A grid of codes: time from left to right, a line for each codebook. Views choose which of it they show."""

    facts: Facts  # those before `from`, `to`, `legend`, `cells` and `codes`, which go with what is shown
    across: str  # what is counted from left to right: column, row, call
    line: str  # before the number of a codebook
    signs: dict[str, Sign]
    plain: str  # the sign that is left out where codes are shown
    cells: np.ndarray  # [K, columns] signs
    codes: np.ndarray  # [K, columns]
    vocabulary: int  # codes are below it
    delays: Sequence[int] | None = None  # [K] `None`: nothing is delayed
    offset: int = 0  # column of frame 0 of a codebook without delay
    axis: str = ""  # what a figure writes at its columns
    given: tuple[str, int] = ("", 0)  # what was given, and how many frames of it
    before: Sequence[Block] = field(default_factory=list)
    after: Sequence[Block] = field(default_factory=list)
