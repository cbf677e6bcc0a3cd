"""A trace of Dia as a table of calls, see `dia2.inspect.trace.tables`.

Columns of `calls`, one row per call and script. What has no value is null, never NaN.

    call                  int32    counted from 0; also the row that is read, its position and its cache slot
    script                int16    from 0
    phase                 string   prefill or loop
    tokens                list     [C] int32, the row as the decoder read it
    drawn                 list     [C] int32, before prompt and countdown overruled it; null in prefill
    written               list     [C] int32, the row after it; null in prefill
    countdown             int32    after the step: steps since the script's end began; null before
    frame                 int32    of the result, whose first channel this call writes; null in the prompt and after the
                                   end
    audio_seconds         double   where that frame begins; null without a codec too
    kv_self, kv_cross     int32    filled slots of self-attention after the call, positions of the text
    time_step             float    seconds; null in prefill
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia.adapter.trace import DiaTrace
from dia2.inspect.trace.tables import arrow, lists_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dia2.inspect.trace.tables import Calls


def calls(trace: DiaTrace) -> Calls:
    """Schema of the table, and the columns of some calls."""
    return _schema(), lambda here: _columns(trace, here)


def _schema() -> pa.Schema:
    pa = arrow()
    int32, tokens = pa.int32(), pa.list_(pa.int32())
    return pa.schema(
        {
            "call": int32,
            "script": pa.int16(),
            "phase": pa.string(),
            "tokens": tokens,
            "drawn": tokens,
            "written": tokens,
            "countdown": int32,
            "frame": int32,
            "audio_seconds": pa.float64(),
            "kv_self": int32,
            "kv_cross": int32,
            "time_step": pa.float32(),
        }
    )


def _columns(trace: DiaTrace, here: slice) -> dict[str, Any]:
    pa, run = arrow(), trace.run
    calls, scripts = trace.rows_read[here], range(run.batch)

    def each(values: np.ndarray) -> np.ndarray:
        """A value per call for every script."""
        return np.repeat(values, run.batch)

    def flat(values: np.ndarray) -> np.ndarray:
        """[n, B, …] as [n · B, …]."""
        return values[here].reshape(-1, *values.shape[2:])

    prefill = each(trace.phase[here] == 0)
    ends = np.array([len(trace) + 1 if (end := trace.ended_at(script)) is None else end for script in scripts])
    written = calls[:, None] + 1  # [n, 1] row
    frame = (written - np.array(run.prefill_steps)).reshape(-1)
    none = prefill | (frame < 0) | (written >= ends).reshape(-1)
    countdown = flat(trace.countdown)
    seconds, rate = each(trace.seconds[here]), run.model.frame_rate
    return {
        "call": each(calls),
        "script": np.tile(np.array(scripts), len(calls)),
        "phase": pa.array(np.where(prefill, "prefill", "loop").tolist(), pa.string()),
        "tokens": lists_of(flat(trace.tokens)),
        "drawn": lists_of(flat(trace.drawn), prefill),
        "written": lists_of(flat(trace.written), prefill),
        "countdown": pa.array(countdown, mask=countdown < 0),
        "frame": pa.array(frame, mask=none),
        "audio_seconds": pa.array(frame / (rate or 1.0), mask=none | (rate is None)),
        "kv_self": each(trace.kv_lengths[here, 0]),
        "kv_cross": each(trace.kv_lengths[here, 1]),
        "time_step": pa.array(seconds, mask=np.isnan(seconds)),
    }
