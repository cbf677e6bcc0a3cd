"""`dia2 trace grid`: the delayed grid."""

from __future__ import annotations

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Grid, Paragraph, Sign

_GENERATED = "#"
_EMPTY = "not generated, or before the delay"
_SIGNS = {
    "·": Sign("before the codebook's delay: the model sees BOS", "dim", code=False, told=_EMPTY),
    "p": Sign("prefix", "label", told="prefix (pale)"),
    "x": Sign("generated, over a code of the prefix", "mark", told="generated over the prefix"),
    _GENERATED: Sign("generated"),
    "-": Sign("audio pad, laid down after the prefix", "dim", code=False, told=_EMPTY),
    "_": Sign("not generated: the model sees BOS", "dim", code=False, told=_EMPTY),
}


def report(trace: Dia2Trace, _script: int) -> Grid:
    """The whole grid, and how frames lie in it.

    Raises:
        TraceError: the prefix, which lies in it, was redacted or is damaged.
    """
    kinds, delays, prefix = cell_kinds(trace), trace.model.delays, trace.run.prefix_frames
    columns = kinds.shape[1]
    frames = max(0, columns - max(delays))
    told = f"+d: frame t of a codebook stands in column t + d, so {counted(columns, 'column')} "
    told += f"{'holds' if columns == 1 else 'hold'} {counted(frames, 'frame')} (the largest delay is {max(delays)})."
    after: list[Block] = [Paragraph((told, "dim"))]
    if prefix and len(trace) > trace.warmup_calls:
        told = f"The main loop writes all codebooks from column {prefix} on, over the prefix's delayed tail."
        after.append(Paragraph((told, "dim")))
    return Grid(
        facts={
            "path": str(trace.path),
            "codebooks": trace.model.codebooks,
            "columns": columns,
            "frames": frames,
            "delays": delays,
            "prefix_frames": prefix,
        },
        across="column",
        line="cb",
        signs=_SIGNS,
        plain=_GENERATED,
        cells=kinds,
        codes=trace.raw_grid,
        vocabulary=trace.model.audio_vocabulary,
        delays=delays,
        axis="column (a call at step s writes column s + 1)",
        given=("prefix", prefix),
        after=after,
    )


def cell_kinds(trace: Dia2Trace) -> np.ndarray:
    """[K, columns] one of the signs per cell of `trace.raw_grid`.

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
    kinds[np.broadcast_to(written, grid.shape)] = _GENERATED
    kinds[laid & written] = "x"
    kinds[np.broadcast_to(column < delay, grid.shape)] = "·"
    return kinds
