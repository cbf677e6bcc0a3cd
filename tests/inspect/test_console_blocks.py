"""Blocks of a report as a terminal lays them out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dia2.inspect.schema.report import Block, Column, Cut, Fitting, Flex, Note, Paragraph, Roomy, Strip, Table
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import Page


def printed(*blocks: Block, width: int) -> list[str]:
    file = io.StringIO()
    print_blocks(blocks, Page(Console(file=file, width=width), least=10))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "shown", "told"),
    [
        (11, ["n", "a", "bbb"], "rows; 2 of 4 columns fit"),
        (12, ["n", "a", "bbb", "cc"], "rows; 3 of 4 columns fit"),
        (15, ["n", "a", "bbb", "cc"], "rows; 3 of 4 columns fit"),
        (16, ["n", "a", "bbb", "cc", "d"], "rows"),
    ],
)
def test_as_many_optional_columns_are_shown_as_fit(width: int, shown: list[str], told: str) -> None:
    widths = {"a": 1, "bbb": 3, "cc": 2, "d": 3}
    columns = [Column("n", 3), *(Column(head, width, "right", optional=True) for head, width in widths.items())]
    table = Table(columns, [["no", 1, 2, 3, 4]], gap=1)
    head, row, *rest = printed(table, Paragraph(Fitting("rows", "column")), width=width)
    assert (head.split(), row.split()) == (shown, ["no", "1", "2", "3", "4"][: len(shown)])
    assert " ".join(rest) == told


def test_one_optional_column_is_shown_whatever_the_width() -> None:
    columns = [Column("name", 9), *(Column(head, 4, optional=True) for head in "ab")]
    assert printed(Table(columns, [], gap=1), width=10) == ["name      a"]


def test_what_is_left_goes_to_flexible_columns_in_equal_parts() -> None:
    columns, row = [Column(width=2), Column(), Column()], ["a", "bb bb", "cc cc cc"]
    assert printed(Table(columns, [row], gap=1), width=14) == ["a  bb bb cc cc", "         cc"]
    few = Table(columns, [row], gap=1, flex=Flex(most=4))
    assert printed(few, width=60) == ["a  bb   cc", "   bb   cc", "        cc"]
    codes = [Column(head, 3, optional=True) for head in "xyz"]
    wide = Table([Column("w"), *codes], [["long", 1, 2, 3]], gap=1, flex=Flex(least=2, early=5, most=9))
    assert printed(wide, width=10)[0] == "w      x"  # what it gets before a second code
    assert printed(wide, width=60)[0] == "w         x   y   z"


def test_a_text_is_cut_to_its_room_and_says_more_where_there_is_some() -> None:
    cell = Roomy(
        wide=["head ", Cut("a long word", after="!")], narrow=Cut("a long word", before="(", after=")"), least=12
    )
    for width, text in ((10, "(a long …)"), (12, "head a lon…!"), (40, "head a long word!")):
        assert printed(Table([Column("", width)], [[cell]]), width=60) == [text]
    assert printed(Paragraph(Cut("a long word", room=6)), width=60) == ["a lon…"]


def test_notes_hang_and_strips_come_in_bands() -> None:
    assert printed(Note("=", "one two three"), width=10) == ["= one two", "  three"]
    lines = printed(Strip("frame", {"a": "abcdefghijklm", "b": "0123456789012"}), width=21)
    assert lines == [
        "frame     0         10",
        "a         abcdefghijk",
        "b         01234567890",
        "",
        "frame",
        *lines[5:],
    ]
    assert lines[5:] == ["a         lm", "b         12", ""]
