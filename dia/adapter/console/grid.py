"""`dia2 trace grid` of Dia: the delayed grid of a script, cell by cell."""

from __future__ import annotations

from rich.console import Console

from dia.adapter.console.scripts import whose
from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.trace import DiaTrace
from dia2.common.errors import TraceError
from dia2.common.wording import counted
from dia2.inspect.views.console.grid import Layout, Sign, Sizes, choose_span, print_cells, tell_span
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Facts, Page, plain

LAYOUT = Layout(
    across="row",
    line="ch",
    signs={
        BOS: Sign("BOS, which is given: row 0, and before a channel's delay", DIM, code=False),
        PROMPT: Sign("prompt, which is given", LABEL),
        DRAWN: Sign("drawn", ""),
        EOS: Sign("EOS: drawn in channel 0, or forced by the countdown", MARK, code=False),
        PAD: Sign("PAD, forced by the countdown", DIM, code=False),
        AFTER: Sign("drawn after this script's end, while others ran", DIM),
    },
    plain=DRAWN,
)


def grid_facts(trace: DiaTrace, first: int | None = None, last: int | None = None, *, script: int = 0) -> Facts:
    """Rows `first` … `last`, both included, of a script's delayed grid; all without them.

    `cells` has a string per channel with one sign per row, `codes` the numbers; `legend` explains the signs.

    Raises:
        UsageError: there are no such rows.
        TraceError: the grid is empty.
    """
    grid = trace.grid(script)  # [rows, C]
    start, end = _choose_rows(trace, script, first, last, len(grid))
    lengths = trace.result.lengths
    return {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.run.batch,
        "channels": trace.model.channels,
        "rows": len(grid),
        "frames": None if lengths is None else lengths[script],
        "delays": trace.model.delays,
        "prompt_frames": trace.run.prefill_steps[script] - 1,
        "from": start,
        "to": end,
        "legend": {sign: found.meaning for sign, found in LAYOUT.signs.items()},
        "cells": ["".join(line) for line in origins(trace, script)[start : end + 1].T],
        "codes": grid[start : end + 1].T.tolist(),
    }


def _choose_rows(trace: DiaTrace, script: int, first: int | None, last: int | None, fits: int) -> tuple[int, int]:
    rows = len(trace.grid(script))
    if not rows:
        raise TraceError(f"The grid of {trace.path} has no rows ({trace.state}).")
    return choose_span(first, last, fits=fits, count=rows, what="row", of=f"the grid of {trace.path}")


def print_grid(
    trace: DiaTrace,
    console: Console,
    first: int | None = None,
    last: int | None = None,
    *,
    script: int = 0,
    codes: bool = False,
) -> None:
    """Print rows `first` … `last`; as many as fit the width without `last`, in several bands if more are asked for.

    Raises:
        UsageError, TraceError: as `grid_facts`.
    """
    page, delays = Page(console), trace.model.delays
    sizes = Sizes.of(page, LAYOUT, delays, trace.model.vocabulary, codes)
    start, end = _choose_rows(trace, script, first, last, sizes.fits)
    facts = grid_facts(trace, start, end, script=script)
    if told := whose(trace, script):
        page.line((told, HEAD))
    print_cells(facts, LAYOUT, sizes, page)
    prompt, frames = facts["prompt_frames"], facts["frames"]
    text = "+d: frame t of a channel stands in row t + d + 1"
    text += f", where frames 0 … {prompt - 1} are the prompt's" if prompt else ""
    if frames is not None:
        hold = "holds" if facts["rows"] == 1 else "hold"
        text += f"; {counted(facts['rows'], 'row')} {hold} {counted(frames, 'new frame')}"
    text += "."
    page.paragraph(plain(text, DIM))
    tell_span(facts, "row", facts["rows"], page)
