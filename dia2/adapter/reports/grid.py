"""`dia2 trace grid`: the delayed grid."""

from __future__ import annotations

from dia2.adapter.grid import GENERATED, SIGNS, cell_kinds
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Grid, Paragraph


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
        signs=SIGNS,
        plain=GENERATED,
        cells=kinds,
        codes=trace.raw_grid,
        vocabulary=trace.model.audio_vocabulary,
        delays=delays,
        axis="column (a call at step s writes column s + 1)",
        given=("prefix", prefix),
        after=after,
    )
