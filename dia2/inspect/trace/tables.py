"""A trace as two tables, for DuckDB, polars, pandas and whatever else reads Parquet or Arrow.

`calls` has one row per call of the transformer, of Dia one per call and script; `draws` one row per recorded draw:

    trace.to_parquet("run")
    # select word, probability from 'run/calls.parquet' join 'run/draws.parquet' using (call) where draw = 'action'
    calls_table(trace).to_pandas()  # without files

What has no value is null, never NaN. The columns of `calls` are the family's: see `dia2.adapter.tables` and
`dia.adapter.tables`. Those of `draws`:

    call                  int32
    script                int16    from 0, of a family that speaks several side by side
    draw                  string   its name: action, cb0, dep.1 …, channel.0 …
    codebook, channel     int16    as the family calls it; null for a draw of no codebook
    choice                int32    what the call took (an edit can have changed it)
    probability           float    of the choice, after guidance, temperature, top-k and top-p
    rank                  int16    of the choice by conditional logit among the kept candidates, from 0; null where it
                                   is not kept. Of 16 candidates the last can stand for any later rank
    candidates            list     int32, ids of at most 16 candidates
    cond, guided          list     float, their conditional and guided logits
    kept                  list     bool: guidance leaves the candidate in the draw
    written               int32    what stands there instead, where a prompt or a countdown overruled it

A trace of the level `tokens`, and calls beyond its byte budget, give no rows of `draws`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.files import replacing
from dia2.inspect.schema.draw import BEST, book_of, chosen, unpack_kept
from dia2.inspect.trace.data import TraceData

if TYPE_CHECKING:
    import pyarrow as pa

    Table = tuple[pa.Schema, Iterator[pa.RecordBatch]]
    Calls = tuple[pa.Schema, Callable[[slice], Mapping[str, Any]]]  # and the columns of some calls

CALLS_FILE = "calls.parquet"
DRAWS_FILE = "draws.parquet"
ROW_GROUP = 1 << 16  # rows at most
CALLS_AT_ONCE = 4096
CANDIDATES = ("candidates", "cond", "guided", "kept")  # the columns that a draw has for each of them
DRAWN = ("draw.ids", "draw.cond", "draw.guided", "draw.kept", "draw.probability")


def to_parquet(trace: TraceData[Any], path: str | Path) -> list[Path]:
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
    calls, draws = _tables(trace)
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        what = "is not a folder" if os.path.lexists(path) else f"cannot be created ({one_line(error)})"
        raise UsageError(f"{path} {what}: give a folder for {CALLS_FILE} and {DRAWS_FILE}.") from error
    _write(path / CALLS_FILE, *calls)
    _write(path / DRAWS_FILE, *draws)
    return [path / CALLS_FILE, path / DRAWS_FILE]


def calls_table(trace: TraceData[Any]) -> pa.Table:
    """One row per call, as a `pyarrow.Table`; see the family's columns.

    Raises:
        Dia2Error: pyarrow is missing.
    """
    schema, batches = _tables(trace)[0]
    return arrow().Table.from_batches(batches, schema)


def draws_table(trace: TraceData[Any], *, candidates: bool = True) -> pa.Table:
    """One row per draw, as a `pyarrow.Table`.

    Args:
        trace: whose.
        candidates: with their columns: candidates, cond, guided, kept; nine tenths of the bytes.

    Raises:
        TraceError: the trace is damaged.
        Dia2Error: pyarrow is missing.
    """
    schema, batches = _draws_schema(trace), _draw_batches(trace)
    if not candidates:
        pa = arrow()
        schema = pa.schema([column for column in schema if column.name not in CANDIDATES])
        batches = _draw_batches(trace, schema)
    return arrow().Table.from_batches(batches, schema)


def _tables(trace: TraceData[Any]) -> tuple[Table, Table]:
    """Schema and batches of calls, and of draws."""
    arrow()
    schema, columns = _all_columns(trace) if trace.adapter.calls is None else trace.adapter.load("calls")(trace)
    at_once = max(1, CALLS_AT_ONCE // trace.scripts)
    stretches = (slice(start, min(len(trace), start + at_once)) for start in range(0, len(trace), at_once))
    calls = (_typed_batch(columns(here), schema) for here in stretches)
    return (schema, calls), (_draws_schema(trace), _draw_batches(trace))


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


def lists_of(values: np.ndarray, missing: np.ndarray | None = None) -> Any:
    """[n, K] as n lists, null where `missing` [n] says so."""
    pa = arrow()
    lengths = np.full(len(values), values.shape[1])
    if missing is not None:
        values, lengths = values[~missing], np.where(missing, 0, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)), mask=mask)


def _all_columns(trace: TraceData[Any]) -> Calls:
    """A table of calls with every column that the family declares."""
    pa, kept = arrow(), trace.adapter.layout.per_call
    kinds = {"I32": pa.int32(), "I16": pa.int16(), "U8": pa.uint8(), "F32": pa.float32()}
    schema = pa.schema({c.name: kinds[c.dtype] if len(c.shape) == 1 else pa.list_(kinds[c.dtype]) for c in kept})

    def columns(here: slice) -> dict[str, Any]:
        found = {}
        for column in kept:
            part = trace.column(column.name)[here]
            if len(column.shape) > 1:
                found[column.name] = lists_of(part.reshape(len(part), -1))
            else:
                found[column.name] = pa.array(part, mask=np.isnan(part) if column.is_time else None)
        return found

    return schema, columns


def _draws_schema(trace: TraceData[Any]) -> pa.Schema:
    pa, kinds = arrow(), trace.adapter.draws
    scripts = {"script": pa.int16()} if trace.adapter.batched else {}
    replaced = {kind.replaced: pa.int32() for kind in kinds if kind.replaced is not None}
    return pa.schema(
        {
            "call": pa.int32(),
            **scripts,
            "draw": pa.string(),
            trace.adapter.codebook: pa.int16(),
            "choice": pa.int32(),
            "probability": pa.float32(),
            "rank": pa.int16(),
            "candidates": pa.list_(pa.int32()),
            "cond": pa.list_(pa.float32()),
            "guided": pa.list_(pa.float32()),
            "kept": pa.list_(pa.bool_()),
            **replaced,
        }
    )


def _draw_batches(trace: TraceData[Any], schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Batches of draws, in order, shard by shard; `schema`: of the columns that are wanted."""
    names, kinds, schema = trace.manifest.draws, trace.adapter.draws, schema or _draws_schema(trace)
    wanted = {"call", *DRAWN, *(kind.column for kind in kinds), *(kind.replaced for kind in kinds if kind.replaced)}
    at_once = max(1, ROW_GROUP // max(1, trace.scripts * len(names)))  # calls
    for shard in trace._shards:
        if "draw.ids" not in shard.columns or not names:
            continue
        arrays = shard.read(wanted)
        for start in range(0, shard.calls, at_once):
            part = {name: array[start : start + at_once] for name, array in arrays.items()}
            yield _typed_batch(_draws(trace, names, part, candidates=CANDIDATES[0] in schema.names), schema)


def _draws(
    trace: TraceData[Any], names: list[str], arrays: dict[str, np.ndarray], *, candidates: bool
) -> dict[str, Any]:
    """The columns of some calls' draws."""
    pa, adapter = arrow(), trace.adapter
    count, scripts, each = len(arrays["call"]), trace.scripts, len(names)
    choice = chosen(arrays, names, adapter.draw_columns(trace.codebooks)).reshape(-1)  # [n · scripts · names]
    which = pa.array(np.tile(np.arange(each, dtype=np.int32), count * scripts))

    def named(values: Any) -> Any:
        return pa.DictionaryArray.from_arrays(which, values)

    columns = {
        "call": np.repeat(arrays["call"], scripts * each),
        "script": np.tile(np.repeat(np.arange(scripts), each), count),
        "draw": named(pa.array(names)),
        adapter.codebook: named(pa.array([book_of(name) for name in names], pa.int16())),
        **_draw_values(arrays, choice, candidates=candidates),
    }
    for kind in adapter.draws:
        if kind.replaced is not None:
            stands = chosen(arrays, names, dict.fromkeys(names, kind.replaced)).reshape(-1)
            columns[kind.replaced] = pa.array(stands, mask=stands == choice)
    return columns


def _draw_values(arrays: Mapping[str, np.ndarray], choice: np.ndarray, *, candidates: bool) -> dict[str, Any]:
    """What draws chose among, from a shard's columns `draw.*` [n, D, …] and what was chosen [n · D]."""
    pa = arrow()
    ids, cond, guided = (arrays[f"draw.{name}"].reshape(-1, BEST) for name in ("ids", "cond", "guided"))
    there = ids >= 0
    kept = unpack_kept(arrays["draw.kept"].reshape(-1)) & there
    chosen = kept & (ids == choice[:, None])
    own = np.where(chosen, cond, -np.inf).max(axis=1)
    rank = (kept & (cond > own[:, None])).sum(axis=1)
    columns = {
        "choice": pa.array(choice),
        "probability": pa.array(arrays["draw.probability"].reshape(-1)),
        "rank": pa.array(rank, mask=~chosen.any(axis=1)),
    }
    if candidates:
        offsets = pa.array(np.concatenate(([0], np.cumsum(there.sum(axis=1)))).astype(np.int32))
        for name, values in zip(CANDIDATES, (ids, cond, guided, kept), strict=True):
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(values[there]))
    return columns


def _typed_batch(columns: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of arrays, NumPy's or pyarrow's, in the order and with the types of a schema."""
    pa = arrow()
    values = ((columns[field.name], field.type) for field in schema)
    arrays = [(pa.array(each) if isinstance(each, np.ndarray) else each).cast(kind) for each, kind in values]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


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
