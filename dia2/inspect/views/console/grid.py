"""`dia2 trace grid`: the delayed grid, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.text import Text

from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.wording import counted
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, join, plain


@dataclass(frozen=True)
class Sign:
    """What one character of a grid stands for."""

    meaning: str
    style: str
    code: bool = True  # whether a code stands in such a cell


@dataclass(frozen=True)
class Layout:
    """How the grid of a family of models is shown: time from left to right, a line for each codebook."""

    across: str  # what is counted from left to right
    line: str  # before the number of a codebook
    signs: dict[str, Sign]
    plain: str  # the sign that is left out where codes are shown


LAYOUT = Layout(
    across="column",
    line="cb",
    signs={
        "·": Sign("before the codebook's delay: the model sees BOS", DIM, code=False),
        "p": Sign("prefix", LABEL),
        "x": Sign("generated, over a code of the prefix", MARK),
        "#": Sign("generated", ""),
        "-": Sign("audio pad, laid down after the prefix", DIM, code=False),
        "_": Sign("not generated: the model sees BOS", DIM, code=False),
    },
    plain="#",
)


def cell_kinds(trace: Dia2Trace) -> np.ndarray:
    """[K, columns] one sign of `LAYOUT` per cell of `trace.raw_grid`."""
    grid, ids, frames = trace.raw_grid, trace.model.tokens, trace.run.prefix_frames
    column = np.arange(grid.shape[1])
    delay = np.array(trace.model.delays)[:, None]
    main = trace.steps[trace.column("phase") == 1].astype(np.int64)
    written = np.zeros(grid.shape[1], dtype=bool)
    written[main + 1] = True
    laid = (column >= delay) & (column < delay + frames)
    kinds = np.full(grid.shape, "_")
    kinds[grid == ids.audio_pad] = "-"
    kinds[laid & ~written] = "p"
    kinds[np.broadcast_to(written, grid.shape)] = "#"
    kinds[laid & written] = "x"
    kinds[np.broadcast_to(column < delay, grid.shape)] = "·"
    return kinds


def choose_span(first: int | None, last: int | None, *, fits: int, count: int, what: str, of: str) -> tuple[int, int]:
    """The columns or rows to show, first and last one: as many as fit where no end is given.

    Args:
        first: `None`: the first there is.
        last: included.
        fits: so many without `last`.
        count: so many there are, at least one.
        what: `column` or `row`.
        of: what has them, in words.

    Raises:
        UsageError: there are no such ones.
    """
    first = 0 if first is None else counted_from_0(first, what)
    if not 0 <= first < count:
        raise UsageError(f"There is no {what} {short(first)}: {of} has {what}s 0 … {count - 1}.")
    last = first + fits - 1 if last is None else counted_from_0(last, what)
    if last < first:
        raise UsageError(f"{what.capitalize()}s {first} to {last} are none: the last must not come before the first.")
    return first, min(last, count - 1)


def choose_columns(trace: Dia2Trace, first: int | None, last: int | None, fits: int) -> tuple[int, int]:
    """The columns to show, see `choose_span`.

    Raises:
        UsageError: there are no such columns.
        TraceError: the grid has none at all.
    """
    columns = trace.raw_grid.shape[1]
    if not columns:
        raise TraceError(f"The grid of {trace.path} has no columns ({trace.state}).")
    return choose_span(first, last, fits=fits, count=columns, what="column", of=f"the grid of {trace.path}")


def grid_facts(trace: Dia2Trace, first: int | None = None, last: int | None = None, *, script: int = 0) -> Facts:
    """Columns `first` … `last`, both included, of the delayed grid; all without them.

    `cells` has a string per codebook with one sign per cell, `codes` the numbers; `legend` explains the signs.

    Raises:
        UsageError: there are no such columns.
        TraceError: the grid is empty; or the prefix, which lies in it, was redacted or is damaged.
    """
    grid = trace.raw_grid
    columns = grid.shape[1]
    start, end = choose_columns(trace, first, last, columns)
    kinds = cell_kinds(trace)[:, start : end + 1]
    return {
        "path": str(trace.path),
        "codebooks": trace.model.codebooks,
        "columns": columns,
        "frames": max(0, columns - max(trace.model.delays)),
        "delays": trace.model.delays,
        "prefix_frames": trace.run.prefix_frames,
        "from": start,
        "to": end,
        "legend": {sign: found.meaning for sign, found in LAYOUT.signs.items()},
        "cells": ["".join(row) for row in kinds],
        "codes": grid[:, start : end + 1].tolist(),
    }


def print_grid(
    trace: Dia2Trace,
    console: Console,
    first: int | None = None,
    last: int | None = None,
    *,
    script: int = 0,
    codes: bool = False,
) -> None:
    """Print columns `first` … `last`; as many as fit the width without `last`, in several bands if more are asked for.

    Raises:
        UsageError, TraceError: as `grid_facts`.
    """
    page = Page(console)
    sizes = Sizes.of(page, LAYOUT, trace.model.delays, trace.model.audio_vocabulary, codes)
    start, end = choose_columns(trace, first, last, sizes.fits)
    facts = grid_facts(trace, start, end)
    print_cells(facts, LAYOUT, sizes, page)
    _tell(facts, trace, page)


@dataclass(frozen=True)
class Sizes:
    """How wide the parts of a grid are set."""

    cell: int
    label: int
    fits: int  # cells of a line
    codes: bool  # shown, not only where they come from

    @classmethod
    def of(cls, page: Page, layout: Layout, delays: Sequence[int], vocabulary: int, codes: bool) -> Sizes:
        """For a grid of so many codes on a page."""
        cell = max(len(str(vocabulary - 1)), 2) + 2 if codes else 1  # a code and its sign
        label = len(f"{layout.line}{len(delays) - 1}") + 2 + len(f"+{max(delays)}") + 2
        return cls(cell, label, max(1, (page.width - label) // cell), codes)


def print_cells(facts: Facts, layout: Layout, sizes: Sizes, page: Page) -> None:
    """Print `cells` and `codes` of a grid's facts, in several bands if they do not fit, and what the signs mean."""
    count = facts["to"] - facts["from"] + 1
    for at in range(0, count, sizes.fits):
        if at:
            page.line()
        _print_band(facts, at, min(sizes.fits, count - at), layout, sizes, page)
    page.line()
    used = set("".join(facts["cells"]))
    for sign, found in layout.signs.items():
        if sign in used:
            hidden = sizes.codes and sign == layout.plain
            meaning = f"{found.meaning} (no sign)" if hidden else found.meaning
            page.row([plain(" " if hidden else sign, found.style), plain(meaning)], [Column(1), Column(page.width - 3)])


def _print_band(facts: Facts, at: int, count: int, layout: Layout, sizes: Sizes, page: Page) -> None:
    first, cell, label, codes = facts["from"] + at, sizes.cell, sizes.label, sizes.codes
    page.line((layout.across.ljust(label), HEAD), (_ruler(first, count, cell), DIM))
    ticks = "".join(("|" if (first + i) % 10 == 0 else "'").rjust(cell - codes) + " " * codes for i in range(count))
    page.line(("  delay".ljust(label), HEAD), (ticks, DIM))
    for k, (signs, numbers) in enumerate(zip(facts["cells"], facts["codes"], strict=True)):
        name = f"{layout.line}{k}".ljust(label - 2 - len(f"+{max(facts['delays'])}"))
        line = join((name, LABEL), (f"+{facts['delays'][k]}".ljust(label - len(name)), DIM))
        line.append_text(_cells(signs[at : at + count], numbers[at : at + count], layout, sizes))
        page.line(line)


def _cells(signs: str, numbers: list[int], layout: Layout, sizes: Sizes) -> Text:
    text = Text(end="")
    for sign, number in zip(signs, numbers, strict=True):
        found = layout.signs[sign]
        mark = " " if sign == layout.plain else sign
        shown = sign if not sizes.codes else f"{number}{mark}" if found.code else f"{sign} "
        text.append(shown.rjust(sizes.cell), found.style)
    return text


def _ruler(first: int, count: int, cell: int) -> str:
    """Numbers of the first and of every tenth (or fifth) column, each beginning over its column."""
    step = 10 if cell == 1 else 5
    ruler = ""
    for column in range(first, first + count):
        start = (column - first) * cell + max(0, cell - 3)
        fits = (not ruler or start > len(ruler)) and start + len(str(column)) <= count * cell
        if fits and (column % step == 0 or column == first):
            ruler = ruler.ljust(start) + str(column)
    return ruler


def _tell(facts: Facts, trace: Dia2Trace, page: Page) -> None:
    frames, most = facts["frames"], max(facts["delays"])
    page.paragraph(
        plain(
            f"+d: frame t of a codebook stands in column t + d, so {counted(facts['columns'], 'column')} "
            f"{'holds' if facts['columns'] == 1 else 'hold'} {counted(frames, 'frame')} "
            f"(the largest delay is {most}).",
            DIM,
        )
    )
    prefix = facts["prefix_frames"]
    if prefix and len(trace) > trace.warmup_calls:
        page.paragraph(
            plain(f"The main loop writes all codebooks from column {prefix} on, over the prefix's delayed tail.", DIM)
        )
    tell_span(facts, "column", facts["columns"], page)


def tell_span(facts: Facts, what: str, count: int, page: Page) -> None:
    """Say which columns or rows were shown, and how to see more."""
    more = f"; --from {facts['to'] + 1} shows more" if facts["to"] + 1 < count else ""
    page.paragraph(plain(f"{what}s {facts['from']} … {facts['to']} of 0 … {count - 1}{more}", DIM))
