"""What all views share: safe text, lines laid in columns, numbers in words, facts as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from dia2.common.messages import printable

Facts = dict[str, Any]  # of JSON's types

# Blue and yellow are told apart by nearly everybody; each style stands beside a sign or a word that says the same.
DIM = "dim"
HEAD = "bold"
LABEL = "cyan"
MARK = "bold yellow"
FAILED = "bold reverse"
SPEAKER = {1: "cyan", 2: "yellow"}
NARROWEST = 80  # columns; a narrower terminal folds lines by itself


def plain(text: object, style: str = "") -> Text:
    """Text of a trace as it may be shown: without control codes, and never read as markup."""
    return Text(printable(str(text)), style, end="", no_wrap=True)


def join(*parts: Text | str | tuple[str, str]) -> Text:
    """Parts in a row; strings and (string, style) pairs are made safe."""
    whole = Text(end="", no_wrap=True)
    for part in parts:
        whole.append_text(part if isinstance(part, Text) else plain(*((part,) if isinstance(part, str) else part)))
    return whole


def clip(text: str, width: int) -> str:
    """`text` in at most `width` cells, with an ellipsis where it was cut."""
    text = printable(text)
    if cell_len(text) <= width:
        return text
    room, end = width - 1, 0  # of the ellipsis
    while end < len(text) and (room := room - cell_len(text[end])) >= 0:
        end += 1
    return f"{text[:end]}…"


@dataclass(frozen=True)
class Column:
    """One column of lines that are laid side by side."""

    width: int
    align: Literal["left", "right"] = "left"


class Page:
    """Prints lines of known width."""

    def __init__(self, console: Console, least: int = NARROWEST) -> None:
        """Print to `console`, in lines of at least `least` columns."""
        self.console = console
        self.width = max(least, console.width)

    def line(self, *parts: Text | str | tuple[str, str]) -> None:
        """One line, which must fit."""
        text = join(*parts)
        text.rstrip()
        self.console.print(text, soft_wrap=True, highlight=False, end="\n")

    def title(self, text: str) -> None:
        """A heading, after an empty line."""
        self.line()
        self.line((text, HEAD))

    def row(self, cells: Sequence[Text], columns: Sequence[Column], gap: int = 2, indent: int = 0) -> None:
        """Cells side by side, each wrapped to its column; the row is as high as the highest cell."""
        wrapped = [fold(cell, column.width) for cell, column in zip(cells, columns, strict=True)]
        for i in range(max(map(len, wrapped))):
            line = Text(" " * indent)
            for k, (lines, column) in enumerate(zip(wrapped, columns, strict=True)):
                piece = lines[i].copy() if i < len(lines) else Text()
                room = " " * max(0, column.width - piece.cell_len)
                line.append(" " * gap if k else "")
                line.append_text(join(room, piece) if column.align == "right" else join(piece, room))
            self.line(line)

    def paragraph(self, text: Text | str, indent: int = 0) -> None:
        """Text wrapped to the page."""
        self.row([plain(text) if isinstance(text, str) else text], [Column(self.width - indent)], indent=indent)

    def pairs(self, rows: Iterable[tuple[str, Text]], indent: int = 2) -> None:
        """Labels with what belongs to them."""
        rows = list(rows)
        label = max(len(name) for name, _ in rows)
        columns = [Column(label), Column(self.width - indent - label - 2)]
        for name, text in rows:
            self.row([plain(name, LABEL), text], columns, indent=indent)


def fold(text: Text, width: int) -> list[Text]:
    """Lines of at most `width` cells, broken at spaces; a longer word, such as a path, also after / , _ or -."""
    lines: list[Text] = []
    for part in text.split("\n", allow_blank=True):
        ends: list[int] = []
        used = at = 0
        for piece, whole in _pieces(part.plain, width):
            if used and used + cell_len((whole or piece).rstrip()) > width:
                ends.append(at)
                used = 0
            at += len(piece)
            used += cell_len(piece)
        lines += part.divide(ends)
    for line in lines:
        line.rstrip()
    return lines


def _pieces(text: str, width: int) -> list[tuple[str, str | None]]:
    """What a line may be broken between; with the first piece of a longer word, the word."""
    pieces: list[tuple[str, str | None]] = []
    for word in re.findall(r"\s*\S+\s*|\s+", text):
        if cell_len(word.rstrip()) <= width:
            pieces.append((word, None))
            continue
        bits: list[str] = []
        for bit in re.findall(r"[^/,_-]*[/,_-]|[^/,_-]+", word):
            while cell_len(bit.rstrip()) > width:
                head = set_cell_size(bit, width).rstrip() or bit[0]
                bits.append(head)
                bit = bit[len(head) :]
            bits.append(bit)
        pieces += [(bit, None if i else word) for i, bit in enumerate(bits)]
    return pieces


def duration(seconds: float | None) -> str:
    """Seconds as they are read best."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def number(value: float | None, places: int = 2) -> str:
    """A number, or words for one that is none."""
    if value is None:
        return "–"
    return f"{value:.{places}f}" if math.isfinite(value) else str(value).replace("inf", "∞")


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: none."""
    return value if math.isfinite(value) else None


def to_json(facts: object) -> str:
    """One line of JSON in ASCII; NaN and infinities become null."""
    return json.dumps(_clean(facts), allow_nan=False)


def _clean(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _clean(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(part) for part in value]
    return finite(value) if isinstance(value, float) else value
