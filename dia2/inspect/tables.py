"""A trace as two tables, for DuckDB, polars, pandas and whatever else reads Parquet or Arrow.

`calls` has one row per call of the transformer, `draws` one row per recorded draw. They join on `call`:

    trace.to_parquet("run")
    # select word, probability from 'run/calls.parquet' join 'run/draws.parquet' using (call) where draw = 'action'
    calls_table(trace).to_pandas()  # without files

Columns of `calls`. What has no value is null, never NaN; −1 stands for a token that was redacted.

    call                  int32    counted from 0 over warm-up and main loop
    phase                 string   warmup or main
    step, position, slot  int32    frame index, rotary position, slot of the transformer's key/value cache
    audio_seconds         double   when a word sounds that this call takes, in the audio: (step − 2 − crop) / frame rate
                                   and at least 0, of a prefix's word what its recording says; null before the audio
    text_main, text_second  int32  text tokens as the transformer saw them
    audio_seen            list     [K] int32, codes as the transformer saw them
    codes                 list     [K] int32, codes drawn; null in warm-up
    word, word_index, word_speaker   string, int32, int16: the word that the machine took; null if it took none
    action, forced, main, second, consumed   the machine's step: action as drawn (a text id in warm-up), whether it
                                   was given, text tokens emitted, whether an entry was taken (breaks included)
    padding_budget, forced_padding, entries_left, end_step, pending, lookahead   the machine after the step;
                                   end_step is null while there are words, pending and lookahead are lists of tokens
    before_*              the machine before the step: the same twelve fields; before the first call, before_step and
                                   before_action are null
    kv_transformer, kv_depformer   int32, filled slots after the call
    time_first, time_machine, time_second, time_frame   float, seconds; null in warm-up

Columns of `draws`. A trace of the level `tokens`, and calls beyond its byte budget, give no rows.

    call                  int32
    draw                  string   action, cb0, dep.1 …
    codebook              int16    null for the action
    choice                int32    what the call took (an edit can have changed it)
    probability           float    of the choice, after guidance, temperature and top-k
    rank                  int16    of the choice by conditional logit among the kept candidates, from 0; null where it
                                   is not kept. Of 16 candidates the last can stand for any later rank
    candidates            list     int32, ids of at most 16 candidates
    cond, guided          list     float, their conditional and guided logits
    kept                  list     bool: guidance leaves the candidate in the draw
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.errors import Dia2Error, UsageError, one_line
from dia2.files import replacing
from dia2.inspect.draws import BEST, draw_codebook, unpack_kept
from dia2.runtime.sounding import sounds_at

if TYPE_CHECKING:
    import pyarrow as pa

    from dia2.inspect.trace import Trace

    Table = tuple[pa.Schema, Iterator[pa.RecordBatch]]

CALLS_FILE = "calls.parquet"
DRAWS_FILE = "draws.parquet"
ROW_GROUP = 1 << 16  # rows at most
CALLS_AT_ONCE = 4096
DRAWN = ("draw.ids", "draw.cond", "draw.guided", "draw.kept", "draw.probability")
_MACHINE = ("step", "action", "forced", "main", "second", "consumed", "padding_budget", "forced_padding")
_MACHINE_AFTER = (*_MACHINE, "entries_left", "end_step", "pending", "lookahead")
_FLAGS = ("forced", "consumed")
_TIMES = ("first", "machine", "second", "frame")


def to_parquet(trace: Trace, path: str | Path) -> list[Path]:
    """Write `calls.parquet` and `draws.parquet` into the folder `path`, which is created; both are replaced whole.

    Memory is bounded by one row group of 65,536 draws, however long the trace is.

    Returns:
        The two files, calls first.

    Raises:
        UsageError: `path` is a file, or cannot be created.
        TraceError: the trace is damaged.
        Dia2Error: pyarrow is missing, or the disk is full.
    """
    arrow()
    return write_tables(Path(path), (_calls_schema(), _call_batches(trace)), (_draws_schema(), _draw_batches(trace)))


def write_tables(path: Path, calls: Table, draws: Table) -> list[Path]:
    """Write both files, see `to_parquet`; each table is a schema and its batches."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        what = "is no folder" if os.path.lexists(path) else f"cannot be created ({one_line(error)})"
        raise UsageError(f"{path} {what}: give a folder for {CALLS_FILE} and {DRAWS_FILE}.") from error
    _write(path / CALLS_FILE, *calls)
    _write(path / DRAWS_FILE, *draws)
    return [path / CALLS_FILE, path / DRAWS_FILE]


def calls_table(trace: Trace) -> pa.Table:
    """One row per call, as a `pyarrow.Table`; the columns stand above.

    Raises:
        Dia2Error: pyarrow is missing.
    """
    return arrow().Table.from_batches(_call_batches(trace), _calls_schema())


def draws_table(trace: Trace) -> pa.Table:
    """One row per draw, as a `pyarrow.Table`; the columns stand above.

    Raises:
        TraceError: the trace is damaged.
        Dia2Error: pyarrow is missing.
    """
    return arrow().Table.from_batches(_draw_batches(trace), _draws_schema())


def arrow() -> Any:
    """The module pyarrow.

    Raises:
        Dia2Error: it is missing.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise Dia2Error("Tables need pyarrow: pip install 'dia2-inspect[parquet]'.") from error
    return pyarrow


def _calls_schema() -> pa.Schema:
    pa = arrow()
    int32, tokens = pa.int32(), pa.list_(pa.int32())
    machine = {
        name: pa.bool_() if name in _FLAGS else tokens if name in ("pending", "lookahead") else int32
        for name in _MACHINE_AFTER
    }
    return pa.schema(
        {
            "call": int32,
            "phase": pa.string(),
            "step": int32,
            "position": int32,
            "slot": int32,
            "audio_seconds": pa.float64(),
            "text_main": int32,
            "text_second": int32,
            "audio_seen": tokens,
            "codes": tokens,
            "word": pa.string(),
            "word_index": int32,
            "word_speaker": pa.int16(),
        }
        | {name: kind for name, kind in machine.items() if name != "step"}
        | {f"before_{name}": kind for name, kind in machine.items()}
        | {"kv_transformer": int32, "kv_depformer": int32}
        | {f"time_{name}": pa.float32() for name in _TIMES}
    )


def _draws_schema() -> pa.Schema:
    pa = arrow()
    return pa.schema({"call": pa.int32(), "draw": pa.string(), "codebook": pa.int16()} | draw_types())


def draw_types() -> dict[str, Any]:
    """The columns that say what a draw chose among."""
    pa = arrow()
    return {
        "choice": pa.int32(),
        "probability": pa.float32(),
        "rank": pa.int16(),
        "candidates": pa.list_(pa.int32()),
        "cond": pa.list_(pa.float32()),
        "guided": pa.list_(pa.float32()),
        "kept": pa.list_(pa.bool_()),
    }


def _call_batches(trace: Trace) -> Iterator[pa.RecordBatch]:
    """Batches of calls, in order; the trace holds their columns already."""
    words = {word.call: word for word in trace.words if word.call is not None} if len(trace) else {}
    for start in range(0, len(trace), CALLS_AT_ONCE):
        yield _calls(trace, words, start, min(len(trace), start + CALLS_AT_ONCE))


def _calls(trace: Trace, words: dict[int, Any], start: int, stop: int) -> pa.RecordBatch:
    pa = arrow()
    here = slice(start, stop)
    warmup = trace.column("phase")[here] == 0
    text, emitted, times, kv = (trace.column("text"), trace.column("emitted"), trace.times, trace.kv_lengths)
    ahead = trace.steps[here].astype(np.int64) - trace.crop
    taken = [words.get(call) for call in range(start, stop)]
    sounds = [sounds_at(step, trace.crop, trace.model.frame_rate) for step in trace.steps[here].tolist()]
    sounds = [
        s if word is None or word.seconds is None else word.seconds for s, word in zip(sounds, taken, strict=True)
    ]
    columns: dict[str, Any] = {
        "call": trace.column("call")[here],
        "phase": pa.array(np.where(warmup, "warmup", "main").tolist(), pa.string()),
        "position": trace.column("position")[here],
        "slot": trace.column("slot")[here],
        "audio_seconds": pa.array(np.array(sounds), mask=ahead < 0),
        "text_main": text[here, 0],
        "text_second": text[here, 1],
        "audio_seen": lists_of(trace.column("audio")[here]),
        "codes": lists_of(trace.codes[here], warmup),
        "word": pa.array([word and word.text for word in taken], pa.string()),
        "word_index": pa.array([word and word.index for word in taken], pa.int32()),
        "word_speaker": pa.array([word and word.speaker for word in taken], pa.int16()),
        "kv_transformer": kv[here, 0],
        "kv_depformer": kv[here, 1],
    }
    columns |= {f"time_{name}": pa.array(times[here, i], mask=warmup) for i, name in enumerate(_TIMES)}
    first = trace.machine_at(-1)
    for name in _MACHINE_AFTER:
        if name in ("pending", "lookahead"):
            columns[name] = _tokens(trace, name, start, stop, 0)
            columns[f"before_{name}"] = _tokens(trace, name, start, stop, -1)
            continue
        after = emitted[:, ("main", "second").index(name)] if name in ("main", "second") else trace.column(name)
        initial = getattr(first, name)
        before = np.concatenate(([-1 if initial is None else int(initial)], after[:-1])).astype(after.dtype)
        for key, column in ((name, after[here]), (f"before_{name}", before[here])):
            unknown = column < 0 if name == "end_step" else np.zeros(len(column), dtype=bool)
            if start == 0 and key in ("before_step", "before_action"):
                unknown[0] = True
            columns[key] = pa.array(column.astype(bool) if name in _FLAGS else column, mask=unknown)
    return typed_batch(columns, _calls_schema())


def _typed(values: Any, kind: Any) -> Any:
    array = arrow().array(values) if isinstance(values, np.ndarray) else values
    return array.cast(kind)


def lists_of(values: np.ndarray, missing: np.ndarray | None = None) -> Any:
    """[n, K] as n lists, null where `missing` [n] says so."""
    pa = arrow()
    lengths = np.full(len(values), values.shape[1])
    if missing is not None:
        values, lengths = values[~missing], np.where(missing, 0, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)), mask=mask)


def _tokens(trace: Trace, name: str, start: int, stop: int, shift: int) -> Any:
    """Lists of a ragged column after calls start + shift … stop + shift − 1; empty before the first."""
    pa = arrow()
    ends = np.concatenate(([0, 0], trace.column(f"{name}_end")))  # ends[i + 1] is where call i's part begins
    offsets = ends[start + shift + 1 : stop + shift + 2]
    values = trace.column(name)[int(offsets[0]) : int(offsets[-1])]
    return pa.ListArray.from_arrays(pa.array((offsets - offsets[0]).astype(np.int32)), pa.array(values))


def _draw_batches(trace: Trace) -> Iterator[pa.RecordBatch]:
    """Batches of draws, in order, shard by shard."""
    names = trace.manifest.draws
    at_once = max(1, ROW_GROUP // max(1, len(names)))  # calls
    for shard in trace._shards:
        if "draw.ids" not in shard.columns or not names:
            continue
        arrays = shard.read(("call", "action", "codes", *DRAWN))
        for start in range(0, shard.calls, at_once):
            yield _draws(names, {name: array[start : start + at_once] for name, array in arrays.items()})


def _draws(names: list[str], arrays: dict[str, np.ndarray]) -> pa.RecordBatch:
    pa = arrow()
    count, codebooks = len(arrays["call"]), [None if name == "action" else draw_codebook(name) for name in names]
    choice = np.stack([arrays["action"] if k is None else arrays["codes"][:, k] for k in codebooks], axis=1).reshape(-1)
    columns = {
        "call": pa.array(np.repeat(arrays["call"], len(names))),
        "draw": pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.arange(len(names), dtype=np.int32), count)), pa.array(names)
        ),
        "codebook": pa.DictionaryArray.from_arrays(
            pa.array(np.tile(np.arange(len(names), dtype=np.int32), count)), pa.array(codebooks, pa.int16())
        ),
        **draw_values(arrays, choice),
    }
    return typed_batch(columns, _draws_schema())


def draw_values(arrays: Mapping[str, np.ndarray], choice: np.ndarray) -> dict[str, Any]:
    """The columns of `draw_types`, from a shard's columns `draw.*` [n, D, …] and what was chosen [n · D]."""
    pa = arrow()
    ids, cond, guided = (arrays[f"draw.{name}"].reshape(-1, BEST) for name in ("ids", "cond", "guided"))
    there = ids >= 0
    kept = unpack_kept(arrays["draw.kept"].reshape(-1)) & there
    chosen = kept & (ids == choice[:, None])
    own = np.where(chosen, cond, -np.inf).max(axis=1)
    rank = (kept & (cond > own[:, None])).sum(axis=1)
    offsets = pa.array(np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int32))
    lists = (("candidates", ids), ("cond", cond), ("guided", guided), ("kept", kept))
    return {
        "choice": pa.array(choice),
        "probability": pa.array(arrays["draw.probability"].reshape(-1)),
        "rank": pa.array(rank, mask=~chosen.any(axis=1)),
        **{name: pa.ListArray.from_arrays(offsets, pa.array(values[there])) for name, values in lists},
    }


def typed_batch(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of arrays, NumPy's or pyarrow's, in the order and with the types of a schema."""
    arrays = [_typed(columns[field.name], field.type) for field in schema]
    return arrow().RecordBatch.from_arrays(arrays, schema=schema)


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """Write in row groups to a temporary file beside `path`, then rename it there."""
    pa = arrow()
    from pyarrow import parquet

    try:
        with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            waiting: list[Any] = []
            for batch in batches:
                if waiting and sum(map(len, waiting)) + len(batch) > ROW_GROUP:
                    writer.write_table(pa.Table.from_batches(waiting, schema))
                    waiting = []
                waiting.append(batch)
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting, schema))
    except OSError as error:
        why = error.strerror or str(error)
        raise Dia2Error(f"{path} could not be written ({why}): free some space or write elsewhere.") from error
