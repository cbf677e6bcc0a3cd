"""A terminal's page: safe text in styles, lines of known width, cells laid side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text as Rich

from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.schema.report import Align, Cell, Cut, Fitting, Part, Roomy, Style, Text

# Blue and yellow are told apart by nearly everybody; each style stands beside a sign or a word that says the same.
STYLES: dict[Style, str] = {
    "": "",
    "dim": "dim",
    "head": "bold",
    "label": "cyan",
    "mark": "bold yellow",
    "failed": "bold reverse",
    "speaker1": "cyan",
    "speaker2": "yellow",
}
NARROWEST = 80  # columns; a narrower terminal folds lines by itself


def plain(text: object, style: str = "") -> Rich:
    """Text of a trace as it may be shown: without control codes, and never read as markup."""
    return Rich(printable(str(text)), style, end="", no_wrap=True)


def clip(text: str, width: int) -> str:
    """`text` in at most `width` cells, with an ellipsis where it was cut."""
    text = printable(text)
    if cell_len(text) <= width:
        return text
    room, end = width - 1, 0  # of the ellipsis
    while end < len(text) and (room := room - cell_len(text[end])) >= 0:
        end += 1
    return f"{text[:end]}…"


class Page:
    """Prints lines of known width."""

    def __init__(self, console: Console, least: int = NARROWEST) -> None:
        """Print to `console`, in lines of at least `least` columns."""
        self.console = console
        self.width = max(least, console.width)
        self.fitting = (0, 0)  # optional columns of the last table: shown, and all

    def text(self, cell: Cell | Rich, width: int | None = None) -> Rich:
        """What a cell, `width` wide, says."""
        if isinstance(cell, Rich):
            return cell
        if isinstance(cell, Roomy):
            cell = cell.wide if width is None or width >= cell.least else cell.narrow
        parts = cell if isinstance(cell, list) else [cell]
        others = [self._part(part) for part in parts if not isinstance(part, Cut)]
        room = None if width is None else width - sum(cell_len(text) for text, _ in others)
        whole = Rich(end="", no_wrap=True)
        for text, style in (self._part(part, room) for part in parts):
            whole.append_text(plain(text, STYLES[style]))
        return whole

    def _part(self, part: Part, room: int | None = None) -> tuple[str, Style]:
        if isinstance(part, Cut):
            room = part.room if part.room is not None else room
            left = None if room is None else room - cell_len(part.before) - cell_len(part.after)
            return f"{part.before}{part.text if left is None else clip(part.text, left)}{part.after}", part.style
        if isinstance(part, Fitting):
            shown, count = self.fitting
            hidden = f"; {shown} of {counted(count, part.what)} fit{'s' * (shown == 1)}" if shown < count else ""
            return part.text + hidden, part.style
        return (str(part[0]), part[1]) if isinstance(part, tuple) else (str(part), "")

    def line(self, text: Text | Rich = "") -> None:
        """One line, which must fit."""
        shown = self.text(text)
        shown.rstrip()
        self.console.print(shown, soft_wrap=True, highlight=False, end="\n")

    def row(
        self,
        cells: Iterable[Cell | Rich],
        widths: Sequence[int],
        aligned: Sequence[Align] = (),
        *,
        gap: int = 2,
        indent: int = 0,
    ) -> None:
        """Cells side by side, each wrapped to its width; the row is as high as the highest cell."""
        wrapped = [fold(self.text(cell, width), width) for cell, width in zip(cells, widths, strict=True)]
        for i in range(max(map(len, wrapped))):
            line = Rich(" " * indent, end="", no_wrap=True)
            for k, (lines, width) in enumerate(zip(wrapped, widths, strict=True)):
                piece = lines[i] if i < len(lines) else Rich()
                room = " " * max(0, width - piece.cell_len)
                line.append(" " * gap if k else "")
                line.append(room if aligned and aligned[k] == "right" else "")
                line.append_text(piece)
                line.append("" if aligned and aligned[k] == "right" else room)
            self.line(line)

    def paragraph(self, text: Cell, indent: int = 0) -> None:
        """Text wrapped to the page."""
        self.row([text], [self.width - indent], indent=indent)


def fold(text: Rich, width: int) -> list[Rich]:
    """Lines of at most `width` cells, broken at spaces; a longer word, such as a path, also after / , _ or -."""
    lines: list[Rich] = []
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
