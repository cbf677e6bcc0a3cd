"""The rows of a run in the tables of a sweep, from its trace.

Columns of `runs`:

    run                string   its id
    status             string   done or failed
    error              string   why it failed; null if it did not
    tries              int16    how often it was made: 2 if the first time failed
    trace              string   its trace, from the destination's folder on; null if there is none
    device             string   on which it was made
    started            timestamp, UTC
    seconds            double   that it took to make, side by side with others
    stop_reason        string   end, context or interrupted
    recordings         list     digests of the recordings that it goes on from
    …                           settings in force, and all of the grid, by their names: texts, numbers, or JSON
    …                           measures of the family, see `dia2.adapter.measures`
    word_errors        double   share of the words that Whisper hears otherwise, where the plan asks for it

Columns of `words`, one row for each word of a run, spoken or not: run, index, text, speaker, prefix (it belongs to the
recording), call, seconds (when it sounds; null if it does not). Those of `calls` and `draws` are a trace's, see
`dia2.inspect.trace.tables`, with `run` before them; the candidates of draws stay in the trace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dia2.inspect.schema.adapter import adapters
from dia2.inspect.schema.maker import Settings
from dia2.inspect.sweeps.dataset import CALLS, DONE, DRAWS, FAILED, WORDS
from dia2.inspect.trace.measured import measures_for
from dia2.inspect.trace.tables import arrow, calls_table, draws_table

if TYPE_CHECKING:
    import pyarrow as pa

    from dia2.inspect.trace.trace import Trace


def run_row(
    run: str,
    settings: Settings,
    trace: Trace[Any] | None,
    *,
    path: str | None,
    error: str | None,
    tries: int,
    device: str,
    seconds: float | None,
    recordings: Sequence[str],
) -> dict[str, Any]:
    """A row of `runs`.

    Args:
        run: its id.
        settings: of the grid.
        trace: of it; `None`: it left none.
        path: of the trace, in the destination.
        error: why it failed.
        tries: how often it was made.
        device: on which.
        seconds: that it took.
        recordings: digests of what it goes on from.
    """
    manifest = None if trace is None else trace.manifest
    return {
        "run": run,
        "status": DONE if error is None else FAILED,
        "error": error,
        "tries": tries,
        "trace": path,
        "device": device,
        "started": None if manifest is None else datetime.fromisoformat(manifest.started),
        "seconds": seconds,
        "stop_reason": None if trace is None else stop_reason(trace),
        "recordings": list(recordings),
        **settings,
        **(trace.measures() if trace is not None and error is None else {}),
    }


def stop_reason(trace: Trace[Any]) -> str | None:
    """Why its main loop ended."""
    result = getattr(trace.manifest, "result", None)
    return getattr(result, "stop_reason", None)


def runs_table(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> pa.Table:
    """A table of rows.

    Args:
        rows: see `run_row`.
        kinds: of settings and measures, by name: `text`, `int`, `seed`, `float` or `flag`.
    """
    pa = arrow()
    fixed = {
        "run": pa.string(),
        "status": pa.string(),
        "error": pa.string(),
        "tries": pa.int16(),
        "trace": pa.string(),
        "device": pa.string(),
        "started": pa.timestamp("us", tz="UTC"),
        "seconds": pa.float64(),
        "stop_reason": pa.string(),
        "recordings": pa.list_(pa.string()),
    }
    typed = {
        "text": pa.string(),
        "int": pa.int64(),
        "seed": pa.uint64(),
        "float": pa.float64(),
        "flag": pa.bool_(),
    }
    columns = fixed | {name: typed[kind] for name, kind in kinds.items()}
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in columns.items()})


def trace_tables(run: str, trace: Trace[Any]) -> dict[str, pa.Table]:
    """The words, calls and draws of a run; draws without their candidates, which are most of a trace: that has them."""
    return {
        WORDS: _of(run, _words(trace)),
        CALLS: _of(run, calls_table(trace)),
        DRAWS: _of(run, draws_table(trace, candidates=False)),
    }


def _words(trace: Trace[Any]) -> pa.Table:
    pa = arrow()
    words = list(getattr(trace, "words", None) or [])
    kinds = {
        "index": pa.int32(),
        "text": pa.string(),
        "speaker": pa.int16(),
        "prefix": pa.bool_(),
        "call": pa.int32(),
        "seconds": pa.float64(),
    }
    return pa.table({name: pa.array([getattr(word, name) for word in words], kind) for name, kind in kinds.items()})


def _of(run: str, table: pa.Table) -> pa.Table:
    """A table with the run's id before its columns."""
    pa = arrow()
    return table.add_column(0, "run", pa.array([run] * len(table), pa.string()))


def cell(value: Any, kind: str) -> Any:
    """A value of a setting in a column of a kind: whatever is neither text nor number, as JSON."""
    if kind == "float" and value is not None:
        return float(value)
    if kind != "text" or value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def kind_of(values: Sequence[Any]) -> str:
    """Of a column with these values: numbers are `float` if one is not whole, and a mixture is `text`."""
    there = [value for value in values if value is not None]
    flags = sum(isinstance(value, bool) for value in there)
    if not there or 0 < flags < len(there):
        return "text"
    if flags:
        return "flag"
    if all(isinstance(value, int) for value in there):
        return "int"
    return "float" if all(isinstance(value, int | float) for value in there) else "text"


def measure_kinds(family: str) -> dict[str, str]:
    """The kind of each measure's column, of a family's runs."""
    return {one.name: one.kind for one in measures_for(adapters()[family]).columns}
