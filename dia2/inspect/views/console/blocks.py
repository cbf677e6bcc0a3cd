"""Prints the blocks of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dia2.inspect.schema.report import Block, Flex, Line, Note, Pairs, Paragraph, Rows, Strip, Table, Title
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
    """As many optional columns as fit; what is left goes to the flexible ones."""
    optional = [column for column in block.columns if column.optional]
    flexible = [column.width for column in block.columns if isinstance(column.width, Flex)]
    room = page.width - block.indent - block.margin + block.gap  # each column has its gap
    room -= sum(c.width + block.gap for c in block.columns if isinstance(c.width, int) and not c.optional)
    each = max((c.width + block.gap for c in optional if isinstance(c.width, int)), default=0)
    wide = shown = 0
    if flexible:
        flex = flexible[0]
        wide = max(flex.least, min(flex.early, flex.most, (room - each) // len(flexible) - block.gap))
        room -= len(flexible) * (wide + block.gap)
    if optional:
        shown = max(1, min(len(optional), room // each))
        page.fitting = shown, len(optional)
    if flexible:
        wide = min(flex.most, wide + max(0, room - shown * each) // len(flexible))
    there = [i for i, c in enumerate(block.columns) if not c.optional or optional.index(c) < shown]
    columns = [block.columns[i] for i in there]
    widths = [wide if isinstance(column.width, Flex) else column.width for column in columns]
    aligned = [column.align for column in columns]
    if any(column.head for column in columns):
        page.row([(c.head, block.heads) for c in columns], widths, aligned, gap=block.gap, indent=block.indent)
    for row in block.rows:
        page.row([row[i] for i in there], widths, aligned, gap=block.gap, indent=block.indent)


def _strip(block: Strip, page: Page) -> None:
    room = page.width - 10
    for first in range(0, len(next(iter(block.lanes.values()))), room):
        marks = [" "] * (room + 8)
        last = min(first + room, len(next(iter(block.lanes.values()))))
        for at in range(-(-first // 10) * 10, last, 10):
            marks[at - first : at - first + len(str(at))] = str(at)
        page.line([(f"{block.what:<8}", "label"), "  ", "".join(marks).rstrip()])
        for name, lane in block.lanes.items():
            page.line([(f"{name:<8}", "label"), "  ", lane[first:last]])
        page.line()


_PRINTS: dict[type, Callable[[Any, Page], None]] = {
    Line: lambda block, page: page.line(block.text),
    Title: _title,
    Paragraph: lambda block, page: page.paragraph(block.text, block.indent),
    Note: _note,
    Pairs: _pairs,
    Table: _table,
    Rows: lambda block, page: print_rows(block.rows, page),
    Strip: _strip,
}
