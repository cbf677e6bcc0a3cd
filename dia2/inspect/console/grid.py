"""`dia2 trace grid`: the delayed grid, cell by cell."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from dia2.errors import TraceError, UsageError
from dia2.inspect.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, join, plain
from dia2.inspect.trace import Trace

# sign: (name, meaning, style)
SIGNS = {
    "·": ("before", "before the codebook's delay: the model sees BOS", DIM),
    "p": ("prefix", "prefix", LABEL),
    "x": ("overwritten", "generated, over a code of the prefix", MARK),
    "#": ("generated", "generated", ""),
    "-": ("pad", "audio pad, laid down after the prefix", DIM),
    "_": ("nothing", "not generated: the model sees BOS", DIM),
}
_EMPTY = ("before", "pad", "nothing")  # cells without a code


def cell_kinds(trace: Trace) -> np.ndarray:
    """[K, columns] one sign of `SIGNS` per cell of `trace.raw_grid`."""
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


def choose_columns(trace: Trace, first: int | None, last: int | None, fits: int) -> tuple[int, int]:
    """The columns to show, first and last one: as many as fit where no end is given.

    Raises:
        UsageError: there are no such columns.
        TraceError: the grid has none at all.
    """
    columns = trace.raw_grid.shape[1]
    if not columns:
        raise TraceError(f"The grid of {trace.path} has no columns ({trace.state}).")
    first = 0 if first is None else first
    if not 0 <= first < columns:
        raise UsageError(f"There is no column {first}: the grid of {trace.path} has columns 0 … {columns - 1}.")
    last = first + fits - 1 if last is None else last
    if last < first:
        raise UsageError(f"Columns {first} to {last} are none: the last must not come before the first.")
    return first, min(last, columns - 1)


def grid_facts(trace: Trace, first: int | None = None, last: int | None = None) -> Facts:
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
        "legend": {sign: meaning for sign, (_, meaning, _) in SIGNS.items()},
        "cells": ["".join(row) for row in kinds],
        "codes": grid[:, start : end + 1].tolist(),
    }


def print_grid(
    trace: Trace, console: Console, first: int | None = None, last: int | None = None, *, codes: bool = False
) -> None:
    """Print columns `first` … `last`; as many as fit the width without `last`, in several bands if more are asked for.

    Raises:
        UsageError, TraceError: as `grid_facts`.
    """
    page = Page(console)
    cell = max(len(str(trace.model.audio_vocabulary - 1)), 2) + 2 if codes else 1  # a code and its sign
    label = len(f"cb{trace.model.codebooks - 1}") + 2 + len(f"+{max(trace.model.delays)}") + 2
    fits = max(1, (page.width - label) // cell)
    start, end = choose_columns(trace, first, last, fits)
    facts = grid_facts(trace, start, end)
    for at in range(0, end - start + 1, fits):
        if at:
            page.line()
        _print_band(facts, at, min(fits, end - start + 1 - at), cell, label, codes, page)
    _legend(facts, trace, codes, page)


def _print_band(facts: Facts, at: int, count: int, cell: int, label: int, codes: bool, page: Page) -> None:
    first = facts["from"] + at
    page.line(("column".ljust(label), HEAD), (_ruler(first, count, cell), DIM))
    ticks = "".join(("|" if (first + i) % 10 == 0 else "'").rjust(cell - codes) + " " * codes for i in range(count))
    page.line(("  delay".ljust(label), HEAD), (ticks, DIM))
    for k, (signs, numbers) in enumerate(zip(facts["cells"], facts["codes"], strict=True)):
        name = f"cb{k}".ljust(label - 2 - len(f"+{max(facts['delays'])}"))
        line = join((name, LABEL), (f"+{facts['delays'][k]}".ljust(label - len(name)), DIM))
        line.append_text(_cells(signs[at : at + count], numbers[at : at + count], cell, codes))
        page.line(line)


def _cells(signs: str, numbers: list[int], cell: int, codes: bool) -> Text:
    text = Text(end="")
    for sign, number in zip(signs, numbers, strict=True):
        name, _, style = SIGNS[sign]
        shown = sign if not codes else f"{sign} " if name in _EMPTY else f"{number}{' ' if sign == '#' else sign}"
        text.append(shown.rjust(cell), style)
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


def _legend(facts: Facts, trace: Trace, codes: bool, page: Page) -> None:
    page.line()
    used = set("".join(facts["cells"]))
    for sign, (_, meaning, style) in SIGNS.items():
        if sign in used:
            sign = " " if codes and sign == "#" else sign
            meaning = f"{meaning} (no sign)" if sign == " " else meaning
            page.row([plain(sign, style), plain(meaning)], [Column(1), Column(page.width - 3)])
    frames, most = facts["frames"], max(facts["delays"])
    page.paragraph(
        plain(
            f"+d: frame t of a codebook stands in column t + d, so {facts['columns']} columns hold {frames} frames "
            f"(the largest delay is {most}).",
            DIM,
        )
    )
    prefix = facts["prefix_frames"]
    if prefix and len(trace) > trace.warmup_calls:
        page.paragraph(
            plain(f"The main loop writes all codebooks from column {prefix} on, over the prefix's delayed tail.", DIM)
        )
    more = f"; --from {facts['to'] + 1} shows more" if facts["to"] + 1 < facts["columns"] else ""
    page.paragraph(plain(f"columns {facts['from']} … {facts['to']} of 0 … {facts['columns'] - 1}{more}", DIM))
