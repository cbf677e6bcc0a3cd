"""A trace of Dia as two tables, see `dia2.inspect.trace.tables`; they join on `call` and `script`.

Columns of `calls`, one row per call and script. What has no value is null, never NaN.

    call                  int32    counted from 0; also the row that is read, its position and its cache slot
    script                int16    from 0
    phase                 string   prefill or loop
    tokens                list     [C] int32, the row as the decoder read it
    drawn                 list     [C] int32, before prompt and countdown had their way; null in prefill
    written               list     [C] int32, the row after it; null in prefill
    countdown             int32    after the step: steps since the script's end began; null before
    frame                 int32    of the result, whose first channel this call writes; null in the prompt and after the
                                   end
    audio_seconds         double   where that frame begins; null without a codec too
    kv_self, kv_cross     int32    filled slots of self-attention after the call, positions of the text
    time_step             float    seconds; null in prefill

Columns of `draws`, one row per call, script and channel. A trace of the level `tokens`, and calls beyond its byte
budget, give no rows.

    call, script          as above
    draw                  string   channel.0 …
    channel               int16
    choice … kept         as in `dia2.inspect.trace.tables`; `choice` is what was drawn
    written               int32    what stands there instead, where a prompt or the countdown overruled it
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dia.adapter.layout import draw_channel
from dia.adapter.trace import DiaTrace
from dia2.inspect.trace.tables import (
    CALLS_AT_ONCE,
    DRAWN,
    ROW_GROUP,
    arrow,
    draw_types,
    draw_values,
    lists_of,
    typed_batch,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from dia2.inspect.trace.tables import Table


def tables(trace: DiaTrace) -> tuple[Table, Table]:
    """Schema and batches of calls, and of draws."""
    return (_calls_schema(), _call_batches(trace)), (_draws_schema(), _draw_batches(trace))


def _calls_schema() -> pa.Schema:
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


def _draws_schema() -> pa.Schema:
    pa = arrow()
    first = {"call": pa.int32(), "script": pa.int16(), "draw": pa.string(), "channel": pa.int16()}
    return pa.schema(first | draw_types() | {"written": pa.int32()})


def _call_batches(trace: DiaTrace) -> Iterator[pa.RecordBatch]:
    at_once = max(1, CALLS_AT_ONCE // trace.run.batch) if len(trace) else 1
    for start in range(0, len(trace), at_once):
        yield _calls(trace, slice(start, min(len(trace), start + at_once)))


def _calls(trace: DiaTrace, here: slice) -> pa.RecordBatch:
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
    columns: dict[str, Any] = {
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
    return typed_batch(columns, _calls_schema())


def _draw_batches(trace: DiaTrace) -> Iterator[pa.RecordBatch]:
    """Batches of draws, in order, shard by shard."""
    names = trace.manifest.draws
    for shard in trace._shards:
        if "draw.ids" not in shard.columns or not names:
            continue
        arrays = shard.read(("call", "drawn", "written", *DRAWN))
        at_once = max(1, ROW_GROUP // (trace.run.batch * len(names)))  # calls
        for start in range(0, shard.calls, at_once):
            yield _draws(names, {name: array[start : start + at_once] for name, array in arrays.items()})


def _draws(names: list[str], arrays: dict[str, np.ndarray]) -> pa.RecordBatch:
    pa = arrow()
    count, scripts = arrays["drawn"].shape[:2]
    channels = [draw_channel(name) for name in names]
    choice, written = (arrays[name][:, :, channels].reshape(-1) for name in ("drawn", "written"))  # [n · B · names]
    columns = {
        "call": np.repeat(arrays["call"], scripts * len(names)),
        "script": np.tile(np.repeat(np.arange(scripts), len(names)), count),
        "draw": pa.array(names * (count * scripts), pa.string()),
        "channel": np.tile(np.array(channels), count * scripts),
        **draw_values(arrays, choice),
        "written": pa.array(written, mask=written == choice),
    }
    return typed_batch(columns, _draws_schema())
