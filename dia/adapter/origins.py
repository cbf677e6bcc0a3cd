"""Where each cell of Dia's delayed grid comes from: given, drawn, or forced by the countdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

BOS, PROMPT, DRAWN, EOS, PAD, AFTER = "B", "p", "#", "E", "P", "-"


@dataclass(frozen=True)
class Origin:
    """A way for a cell to come by its value."""

    name: str
    by: str  # said of a cell; {call} is the one that wrote it
    paint: str  # codes, given (codes of the prompt), or a colour
    key: str | None = None  # in the legend


ORIGINS = {
    "": Origin("unknown", "not yet written", "codes"),
    BOS: Origin("BOS", "given", "line", "BOS"),
    PROMPT: Origin("prompt", "given by the prompt", "given", "prompt"),
    DRAWN: Origin("drawn", "drawn by call {call}", "codes", "drawn"),
    EOS: Origin("forced", "forced by the countdown in call {call}", "word", "eos"),
    "e": Origin("drawn", "drawn by call {call}, which ends the script", "word", "eos"),
    PAD: Origin("forced", "forced by the countdown in call {call}", "over", "PAD, forced"),
    AFTER: Origin("not used", "drawn by call {call} after the end, not used", "empty"),
}
GIVEN = [number for number, sign in enumerate(ORIGINS) if sign in (BOS, PROMPT)]


def origins(trace: DiaTrace, script: int = 0) -> np.ndarray:
    """[rows, C] one sign per cell of `trace.grid(script)`.

    `B` BOS and `p` codes of the prompt are given; `#` is drawn; `E` is the EOS that channel 0 drew, or that the
    countdown forced on it and on the others; `P` the PAD forced after it; `-` was drawn for the others' sake, when this
    script had ended.
    """
    run, model = trace.run, trace.model
    delays = np.array(model.delays)
    grid = trace.grid(script)
    row = np.arange(len(grid))[:, None]
    since = np.full(len(grid), -1)  # of each row: steps since the script's end began, when it was written
    began = trace.countdown[: max(0, len(grid) - 1), script].astype(np.int64)
    since[1 : 1 + len(began)] = np.where(began > 0, began - 1, -1)
    since = since[:, None]
    signs = np.full(grid.shape, DRAWN)
    signs[np.broadcast_to(since >= model.max_delay, grid.shape)] = AFTER
    active = (since >= 0) & (since < model.max_delay)
    signs[active & (since > delays)] = PAD
    signs[active & (since == delays)] = EOS
    signs[(signs == DRAWN) & (grid == model.eos)] = EOS  # drawn in a channel that lags itself
    laid = max(run.prefill_steps) - 1 + max(1, model.max_delay)  # rows of the table that the run began with
    given = (row < laid) & (row - delays < run.prefill_steps[script])
    signs[given] = PROMPT
    signs[given & (row <= delays)] = BOS
    return signs


def cell_origins(trace: DiaTrace, script: int = 0) -> np.ndarray:
    """[rows, C] uint8: which of `ORIGINS`, counted from 0, each cell of `trace.grid(script)` is."""
    grid, signs = trace.grid(script), origins(trace, script)
    drawn = np.full_like(grid, -1)
    drawn[1:] = trace.drawn[: len(grid) - 1, script]
    signs = np.where((signs == EOS) & (drawn == trace.model.eos), "e", signs)
    signs = np.where(grid < 0, "", signs)
    found = np.zeros(grid.shape, np.uint8)
    for number, sign in enumerate(ORIGINS):
        found[signs == sign] = number
    return found
