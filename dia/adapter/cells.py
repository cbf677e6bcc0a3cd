"""Cells of Dia's delayed grid as the explorer paints them, by where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace


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
