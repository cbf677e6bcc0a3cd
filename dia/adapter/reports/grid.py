"""`dia2 trace grid` of Dia: the delayed grid of a script."""

from __future__ import annotations

from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.trace import DiaTrace
from dia2.common.wording import counted
from dia2.inspect.schema.report import Grid, Paragraph, Sign
from dia2.inspect.trace.header import whose

_SIGNS = {
    BOS: Sign("BOS, which is given: row 0, and before a channel's delay", "dim", code=False),
    PROMPT: Sign("prompt, which is given", "label", told="prompt (pale)"),
    DRAWN: Sign("drawn"),
    EOS: Sign("EOS: drawn in channel 0, or forced by the countdown", "mark", code=False),
    PAD: Sign("PAD, forced by the countdown", "dim", code=False),
    AFTER: Sign("drawn after this script's end, while others ran", "dim"),
}


def report(trace: DiaTrace, script: int) -> Grid:
    """The whole grid of a script, and how frames lie in it."""
    grid, model, lengths = trace.grid(script), trace.model, trace.result.lengths
    rows, prompt = len(grid), trace.run.prefill_steps[script] - 1
    frames = None if lengths is None else lengths[script]
    told = "+d: frame t of a channel stands in row t + d + 1"
    told += f", where frames 0 … {prompt - 1} are the prompt's" if prompt else ""
    if frames is not None:
        told += f"; {counted(rows, 'row')} {'holds' if rows == 1 else 'hold'} {counted(frames, 'new frame')}"
    return Grid(
        facts={
            "path": str(trace.path),
            "script": script + 1,
            "scripts": trace.run.batch,
            "channels": model.channels,
            "rows": rows,
            "frames": frames,
            "delays": model.delays,
            "prompt_frames": prompt,
        },
        across="row",
        line="ch",
        signs=_SIGNS,
        plain=DRAWN,
        cells=origins(trace, script).T,
        codes=grid.T,
        vocabulary=model.vocabulary,
        delays=model.delays,
        offset=1,
        axis="row",
        given=("prompt", prompt),
        before=whose(trace, script),
        after=[Paragraph((f"{told}.", "dim"))],
    )
