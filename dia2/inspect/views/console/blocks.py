"""Prints the blocks of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from dia2.inspect.schema.report import Block, Cell, Line, Note, Pairs, Paragraph, Rows, Strip, Table, Title
from dia2.inspect.views.console.page import Page
from dia2.inspect.views.console.rows import print_rows


def print_blocks(blocks: Iterable[Block], page: Page) -> None:
    """Print one block after the other."""
    for block in blocks:
        _PRINTS[type(block)](block, page)


def _title(block: Title, page: Page) -> None:
    page.line()
    page.line((block.text, "head"))


def _note(block: Note, page: Page) -> None:
    page.row([(block.sign, block.style), block.text], [1, page.width - 1 - block.gap], gap=block.gap)


def _pairs(block: Pairs, page: Page) -> None:
    label = max(len(name) for name, _ in block.rows)
    for name, text in block.rows:
        page.row([(name, "label"), text], [label, page.width - block.indent - label - 2], indent=block.indent)


def _table(block: Table, page: Page) -> None:
    widths = _widths(block, page)
    there = [i for i, width in enumerate(widths) if width is not None]
    aligned = [block.columns[i].align for i in there]
    heads: list[Cell] = [(column.head, block.heads) for column in block.columns]
    for row in [heads, *block.rows] if any(column.head for column in block.columns) else block.rows:
        cells = [row[i] for i in there]
        page.row(cells, [width for width in widths if width is not None], aligned, gap=block.gap, indent=block.indent)


def _widths(table: Table, page: Page) -> list[int | None]:
    """Of each column; `None`: there is no room for it."""
    gap, flex, parts = table.gap, table.flex, sum(column.width is None for column in table.columns)
    room = page.width - table.indent - table.margin + gap  # each column has its gap
    room -= sum(column.width + gap for column in table.columns if column.width is not None and not column.optional)
    optional = [column.width + gap for column in table.columns if column.width is not None and column.optional]
    wide = 0
    if parts:
        wide = max(flex.least, min(flex.early, flex.most, (room - sum(optional[:1])) // parts - gap))
        room -= parts * (wide + gap)
    if optional:
        shown = max(1, sum(end <= room for end in accumulate(optional)))
        page.fitting = shown, len(optional)
        room -= sum(optional[:shown])
        optional[shown:] = [0] * (len(optional) - shown)
    wide = min(flex.most, wide + max(0, room) // max(1, parts))
    fits = iter(optional)
    widths = [next(fits) - gap if column.optional else column.width for column in table.columns]
    return [wide if width is None else width if width > 0 else None for width in widths]


def _strip(block: Strip, page: Page) -> None:
    room = page.width - 10
    for first in range(0, len(next(iter(block.tracks.values()))), room):
        marks = [" "] * (room + 8)
        last = min(first + room, len(next(iter(block.tracks.values()))))
        for at in range(-(-first // 10) * 10, last, 10):
            marks[at - first : at - first + len(str(at))] = str(at)
        page.line([(f"{block.what:<8}", "label"), "  ", "".join(marks).rstrip()])
        for name, track in block.tracks.items():
            page.line([(f"{name:<8}", "label"), "  ", track[first:last]])
        page.line()


_PRINTS: dict[type, Callable[[Any, Page], None]] = {
    Line: lambda block, page: page.line(block.text),
    Title: _title,
    Paragraph: lambda block, page: page.paragraph(block.text, block.indent),
    Note: _note,
    Pairs: _pairs,
    Table: _table,
    Rows: lambda block, page: print_rows(block.rows, page, full=block.full),
    Strip: _strip,
}
