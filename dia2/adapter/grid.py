"""Where each cell of Dia2's delayed grid comes from."""

from __future__ import annotations

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.report import Sign

GENERATED = "#"
_EMPTY = "not generated, or before the delay"
SIGNS = {
    "·": Sign("before the codebook's delay: the model sees BOS", "dim", code=False, told=_EMPTY),
    "p": Sign("prefix", "label", told="prefix (pale)"),
    "x": Sign("generated, over a code of the prefix", "mark", told="generated over the prefix"),
    GENERATED: Sign("generated"),
    "-": Sign("audio pad, laid down after the prefix", "dim", code=False, told=_EMPTY),
    "_": Sign("not generated: the model sees BOS", "dim", code=False, told=_EMPTY),
}


def cell_kinds(trace: Dia2Trace) -> np.ndarray:
    """[K, columns] one of `SIGNS` per cell of `trace.raw_grid`.

    Raises:
        TraceError: the prefix, which lies in the grid, was redacted or is damaged.
    """
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
    kinds[np.broadcast_to(written, grid.shape)] = GENERATED
    kinds[laid & written] = "x"
    kinds[np.broadcast_to(column < delay, grid.shape)] = "·"
    return kinds
