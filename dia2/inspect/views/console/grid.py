"""`dia2 trace grid`: a grid of codes, cell by cell."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from dia2.inspect.schema.report import Facts, Grid, Note, Sign
from dia2.inspect.trace.header import span
from dia2.inspect.trace.reports import reports_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import STYLES, Page
from dia2.inspect.views.span import choose_columns


def grid_facts(trace: Trace[Any], first: int | None = None, last: int | None = None, *, script: int = 0) -> Facts:
    """Columns `first` … `last`, both included, of a script's grid of codes; all without them.

    `cells` has a string per codebook with one sign per cell, `codes` the numbers; `legend` explains the signs.

    Raises:
        UsageError: there are no such columns.
        TraceError: there is no such script, the grid is empty, or what lies in it was redacted or is damaged.
    """
    grid = reports_of(trace).grid(trace, trace.check_script(script))
    count = grid.cells.shape[1]
    first, last = choose_columns(trace, first, last, fits=count, count=count, what=grid.across)
    return grid.facts | {
        "from": first,
        "to": last,
        "legend": {sign: found.meaning for sign, found in grid.signs.items()},
        "cells": ["".join(line) for line in grid.cells[:, first : last + 1]],
        "codes": grid.codes[:, first : last + 1].tolist(),
    }


def print_grid(
    trace: Trace[Any],
    console: Console,
    first: int | None = None,
    last: int | None = None,
    *,
    script: int = 0,
    codes: bool | None = None,
) -> None:
    """Print columns `first` … `last`; as many as fit the width without `last`, in several bands if more are asked for.

    With `codes`, or where nobody says and all of these columns have room for them, the codes stand in the cells; else
    where each comes from.

    Raises:
        UsageError, TraceError: as `grid_facts`.
    """
    page, grid = Page(console), reports_of(trace).grid(trace, trace.check_script(script))
    count = grid.cells.shape[1]
    if codes is None:
        start, end = choose_columns(trace, first, last, fits=count, count=count, what=grid.across)
        codes = end - start < _Bands(page, grid, codes=True).fits
    bands = _Bands(page, grid, codes)
    first, last = choose_columns(trace, first, last, fits=bands.fits, count=count, what=grid.across)
    print_blocks(grid.before, page)
    for at in range(first, last + 1, bands.fits):
        if at > first:
            page.line()
        bands.show(at, min(at + bands.fits, last + 1))
    used = set(grid.cells[:, first : last + 1].flat)
    legend = [bands.note(sign, found) for sign, found in grid.signs.items() if sign in used]
    page.line()
    print_blocks([*legend, *grid.after, span(grid.across, first, last, count)], page)


class _Bands:
    """Stretches of a grid, as wide as a page."""

    def __init__(self, page: Page, grid: Grid, codes: bool) -> None:
        """Set up for cells with their `codes`, or with the signs of where they come from alone."""
        self.page, self.grid, self.codes = page, grid, codes
        self.cell = max(len(str(grid.vocabulary - 1)), 2) + 2 if codes else 1  # a code and its sign
        self.name = len(f"{grid.line}{len(grid.cells) - 1}") + 2
        self.label = self.name + (2 if grid.delays is None else len(f"+{max(grid.delays)}") + 2)
        self.fits = max(1, (page.width - self.label) // self.cell)

    def note(self, sign: str, found: Sign) -> Note:
        """What a sign means."""
        hidden = self.codes and sign == self.grid.plain
        return Note(" " if hidden else sign, f"{found.meaning} (no sign)" if hidden else found.meaning, found.style, 2)

    def show(self, first: int, end: int) -> None:
        """Print columns `first` … `end` − 1."""
        grid, cell, label = self.grid, self.cell, self.label
        self.page.line([(grid.across.ljust(label), "head"), (self._ruler(first, end), "dim")])
        ticks = [("'" if at % 10 else "|").rjust(cell - self.codes) + " " * self.codes for at in range(first, end)]
        self.page.line([(("" if grid.delays is None else "  delay").ljust(label), "head"), ("".join(ticks), "dim")])
        for k, (signs, codes) in enumerate(zip(grid.cells, grid.codes, strict=True)):
            delay = "" if grid.delays is None else f"+{grid.delays[k]}"
            name = f"{grid.line}{k}".ljust(self.name)
            line = self.page.text([(name, "label"), (delay.ljust(label - self.name), "dim")])
            for sign, code in zip(signs[first:end], codes[first:end], strict=True):
                found, mark = grid.signs[sign], " " if sign == grid.plain else sign
                shown = sign if not self.codes else f"{code}{mark}" if found.code else f"{sign} "
                line.append(shown.rjust(cell), STYLES[found.style])
            self.page.line(line)

    def _ruler(self, first: int, end: int) -> str:
        """Numbers of the first and of every tenth (or fifth) column, each beginning over its column."""
        step = 10 if self.cell == 1 else 5
        ruler = ""
        for at in range(first, end):
            start = (at - first) * self.cell + max(0, self.cell - 3)
            fits = (not ruler or start > len(ruler)) and start + len(str(at)) <= (end - first) * self.cell
            if fits and (at % step == 0 or at == first):
                ruler = ruler.ljust(start) + str(at)
        return ruler
