"""Where the runs of one script part: the first call at which two of them drew, took or wrote something else.

The tables `calls` of a dataset tell, without the traces: of each call all that a run did, in columns of whole numbers,
flags and texts. What only tells how long it took, or repeats the call before, is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from dia2.common.errors import Dia2Error, one_line
from dia2.inspect.schema.view import text
from dia2.inspect.sweeps import dataset
from dia2.inspect.views.sweeps.gathered import Gathered

if TYPE_CHECKING:
    import pyarrow as pa

MOST_COMPARED = 64  # runs of one script
MOST_SCRIPTS = 8
MOST_CALLS = 20_000  # of a run
SAME = -1  # where two runs do not part
_PASSED_OVER = re.compile(r"run|call|script|model|time_.*|before_.*|kv_.*|audio_seen")
_FIRST = ("action", "codes")  # that are drawn in a call: what differs beside them follows from them
_SEED = 20_260
_NONE = -(1 << 31)  # of a column
_MOST_WIDE = 512  # numbers of a column in one call


@dataclass(frozen=True)
class Parting:
    """Of the runs of one script."""

    script: str
    runs: np.ndarray  # [n] int32, places of the runs that are compared
    of: int  # runs that there are
    call: np.ndarray  # [n, n] int32, the first call at which two differ; `SAME`: none
    what: np.ndarray  # [n, n] int16, place in `parts` of what differs there; −1: none
    parts: list[str]
    calls: np.ndarray  # [n] int32, length of each run


@dataclass(frozen=True)
class _Told:
    """What a run did."""

    whole: np.ndarray  # [calls] int64, one number for all of a call
    columns: dict[str, np.ndarray]  # [calls, width] int32


def partings(found: Gathered) -> list[Parting]:
    """The runs of each script, at most 64 of them, evenly spread over its settings; of the scripts with most runs.

    Raises:
        Dia2Error: the dataset is damaged, or cannot be read.
    """
    groups = _groups(found)
    chosen = {script: _spread(runs) for script, runs in groups.items()}
    told = _told(found, [int(run) for runs in chosen.values() for run in runs])
    made = []
    for script, runs in chosen.items():
        there = np.array([run for run in runs if int(run) in told], np.int32)
        if len(there) > 1:
            column = found.column("script")
            name = "" if script < 0 or column is None else column.texts[script]
            made.append(_parting(name, there, len(groups[script]), [told[int(run)] for run in there]))
    return made


def _groups(found: Gathered) -> dict[int, np.ndarray]:
    """Of the scripts those with most runs."""
    groups = scripts(found)
    most = sorted(groups, key=lambda code: -len(groups[code]))[:MOST_SCRIPTS]
    return {code: groups[code] for code in sorted(most)}


def scripts(found: Gathered) -> dict[int, np.ndarray]:
    """Places of the runs that are done, by the place of their script; of scripts that have more than one."""
    done = np.flatnonzero(~found.failed)
    script = found.column("script")
    if script is None or script.kind != "text":
        return {-1: done} if len(done) > 1 else {}
    groups = {code: done[script.values[done] == code] for code in range(len(script.texts))}
    return {code: runs for code, runs in groups.items() if len(runs) > 1}


def _spread(runs: np.ndarray) -> np.ndarray:
    if len(runs) <= MOST_COMPARED:
        return runs
    chosen: np.ndarray = runs[np.unique(np.linspace(0, len(runs) - 1, MOST_COMPARED).round().astype(int))]
    return chosen


def _told(found: Gathered, runs: Sequence[int]) -> dict[int, _Told]:
    """What each of these runs did, by its place; of one without calls nothing."""
    import pyarrow as pa
    from pyarrow import dataset as tables

    names = [name for name in found.there.names(dataset.CALLS) if name.endswith(".parquet")]
    if not names or not runs:
        return {}
    system, root = found.there.arrow()
    places = {found.raw_ids[run]: run for run in runs}
    made: dict[int, _Told] = {}
    try:
        for name in names:
            one = tables.dataset(f"{root}/{name}", filesystem=system, format="parquet", partitioning=None)
            if not {"run", "call"} <= set(one.schema.names):
                continue
            compared = [each for each in one.schema if _compared(each)]
            wanted = pa.array(list(places), pa.string())
            read = one.to_table(
                columns=["run", "call", *(each.name for each in compared)], filter=tables.field("run").isin(wanted)
            )
            made |= {places[run]: _of(part) for run, part in _by_run(read) if run in places}
    except (OSError, ValueError, TypeError, NotImplementedError, LookupError) as error:  # of pyarrow's, too
        raise Dia2Error(f"The dataset of {found.there} cannot be read ({one_line(error)}).") from error
    return made


def _compared(column: pa.Field) -> bool:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_list(column.type) else column.type
    told = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
    return told and not _PASSED_OVER.fullmatch(column.name)


def _by_run(read: pa.Table) -> list[tuple[str, pa.Table]]:
    runs = np.array(read["run"].to_pylist(), object)
    if not len(runs):
        return []
    ends = [0, *(np.flatnonzero(runs[1:] != runs[:-1]) + 1).tolist(), len(runs)]
    return [(runs[a], read.slice(a, min(b - a, MOST_CALLS))) for a, b in pairwise(ends)]


def _of(part: pa.Table) -> _Told:
    names = [name for name in part.column_names if name not in ("run", "call")]
    names = [*(name for name in _FIRST if name in names), *(name for name in names if name not in _FIRST)]
    columns = {name: _as_numbers(part[name]) for name in names}
    whole = np.zeros(len(part), np.int64)
    for place, numbers in enumerate(columns.values()):
        keys = np.random.default_rng((_SEED, place)).integers(1, 2**62, numbers.shape[1] or 1)
        whole = whole * np.int64(31) + (numbers.astype(np.int64) * keys[: numbers.shape[1]]).sum(1)  # modulo 2⁶⁴
    return _Told(whole, columns)


def _as_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """[calls, width] int32: values of a column, `_NONE` where there is none."""
    import pyarrow as pa
    from pyarrow import compute

    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_list(array.type):
        return _plain(array)[:, None]
    lengths = compute.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)  # [calls]
    flat, starts = _plain(array.flatten()), np.cumsum(lengths) - lengths
    width = int(min(_MOST_WIDE, lengths.max(initial=0)))
    there = np.arange(width) < lengths[:, None]  # [calls, width]
    made = np.full(there.shape, _NONE, np.int32)
    made[there] = flat[(starts[:, None] + np.arange(width))[there]]
    return made


def _plain(array: pa.Array) -> np.ndarray:
    """[values] int32: whole numbers and flags as they are, texts as numbers that tell them apart."""
    import pyarrow as pa

    if pa.types.is_string(array.type):
        coded = array.dictionary_encode()
        numbers = np.array([_NONE, *(_crc(one) for one in coded.dictionary.to_pylist())], np.int32)
        chosen: np.ndarray = numbers[1 + coded.indices.fill_null(-1).to_numpy()]
        return chosen
    wide = array.cast(pa.int64()).fill_null(_NONE).to_numpy(zero_copy_only=False)
    plain: np.ndarray = np.clip(wide, _NONE, -_NONE - 1).astype(np.int32)
    return plain


def _crc(value: str) -> int:
    """A number of a text, the same in each process."""
    return crc32(value.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF


def _parting(script: str, runs: np.ndarray, of: int, told: Sequence[_Told]) -> Parting:
    count, lengths = len(told), np.array([len(one.whole) for one in told], np.int32)
    parts: dict[str, int] = {}
    call, what = np.full((count, count), SAME, np.int32), np.full((count, count), -1, np.int16)
    for i in range(count):
        for j in range(i + 1, count):
            both = min(lengths[i], lengths[j])
            differs = told[i].whole[:both] != told[j].whole[:both]
            if differs.any():
                at = int(differs.argmax())
                name = _first_difference(told[i].columns, told[j].columns, at)
            elif lengths[i] != lengths[j]:
                at, name = int(both), "its end: one of them goes on"
            else:
                continue
            call[i, j] = call[j, i] = at
            what[i, j] = what[j, i] = parts.setdefault(name, len(parts))
    return Parting(script, runs, of, call, what, list(parts), lengths)


def _first_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray], call: int) -> str:
    for name in a:
        if name not in b:
            return text(name, 40)
        one, other = a[name][call], b[name][call]
        if len(one) != len(other):
            return text(name, 40)
        if (one != other).any():
            at = int((one != other).argmax())
            known = "codebook" if name == "codes" else text(name, 40).replace("_", " ")
            return f"{known} {at}" if len(one) > 1 else known
    return "its calls"
