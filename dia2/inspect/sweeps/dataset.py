"""The dataset of a sweep: four tables of Parquet files, a file of each for every group of runs that is finished.

    DEST/runs/model=nano-1f3a…/0b5c….parquet     a row a run, failed ones too
    DEST/words/model=…/…                          a row a word
    DEST/calls/model=…/…                          a row a call, see `dia2.inspect.trace.tables`
    DEST/draws/model=…/…                          a row a draw
    DEST/traces/<run>.dia2trace                   the traces
    DEST/recordings/<digest>.wav                  what runs go on from, each once

A group's file of `runs` is written last: what the other tables have beside it is a killed sweep's, and is removed when
the next one begins. So whoever reads meanwhile finds each run once or not yet.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, one_line
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.trace.tables import arrow

if TYPE_CHECKING:
    import pyarrow as pa

RUNS, WORDS, CALLS, DRAWS = "runs", "words", "calls", "draws"
TABLES = (WORDS, CALLS, DRAWS, RUNS)  # in the order in which a group's files are written
_OURS = re.compile(r"model=[^/]+/[0-9a-f]{20}\.parquet")
TRACES, RECORDINGS = "traces", "recordings"
DONE, FAILED = "done", "failed"  # what `runs.status` says


def trace_name(run: str) -> str:
    """Of a run's trace, in the destination."""
    return f"{TRACES}/{run}{SUFFIX}"


def group_name(ids: Iterable[str]) -> str:
    """Of a group of runs."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:20]


def commit(there: Destination, model: str, group: str, tables: Mapping[str, pa.Table]) -> None:
    """Write the tables of a group, its runs last.

    Args:
        there: the destination.
        model: whose runs they are; a folder of each table.
        group: see `group_name`.
        tables: by name; of `TABLES` those that there are.

    Raises:
        Dia2Error: they cannot be written.
    """
    arrow()
    from pyarrow import parquet

    for name in TABLES:
        if name not in tables:
            continue
        buffer = io.BytesIO()
        parquet.write_table(tables[name], buffer, compression="zstd")
        there.write(_file(name, model, group), buffer.getvalue())


def statuses(there: Destination) -> dict[str, str]:
    """What became of each run that the dataset has, by id.

    Raises:
        Dia2Error: a file of it is damaged, or cannot be read.
    """
    return _by_run(there, "status")


def errors(there: Destination) -> dict[str, str | None]:
    """Why each run that the dataset has has failed, by id; `None`: it has not.

    Raises:
        Dia2Error: a file of it is damaged, or cannot be read.
    """
    return _by_run(there, "error")


def _by_run(there: Destination, column: str) -> dict[str, Any]:
    table = read_runs(there, ["run", column])
    return {} if table is None else dict(zip(table["run"].to_pylist(), table[column].to_pylist(), strict=True))


def read_runs(there: Destination, columns: Sequence[str] | None = None) -> pa.Table | None:
    """The table `runs`, with the columns of all its files, and `model` by their folders; `None` if there is none yet.

    Raises:
        Dia2Error: a file of it is damaged, or cannot be read.
    """
    pa = arrow()
    from pyarrow import dataset

    names = files(there, RUNS)
    if not names:
        return None
    system, root = there.arrow()
    paths = [f"{root}/{name}" for name in names]
    try:
        options: dict[str, Any] = {"filesystem": system, "format": "parquet", "partition_base_dir": f"{root}/{RUNS}"}
        options["partitioning"] = dataset.partitioning(pa.schema([("model", pa.string())]), flavor="hive")
        schema = None
        if columns is None:
            schema = pa.unify_schemas(
                [dataset.dataset([path], **options).schema for path in paths], promote_options="permissive"
            )
        return dataset.dataset(paths, schema=schema, **options).to_table(None if columns is None else list(columns))
    except (OSError, ValueError) as error:  # of pyarrow's, too
        raise Dia2Error(f"The dataset of {there} cannot be read ({one_line(error)}).") from error


def files(there: Destination, table: str) -> list[str]:
    """Names of a table's files, those that a sweep has written alone."""
    return [name for name in there.names(table) if _OURS.fullmatch(name.partition("/")[2])]


def remove_unfinished(there: Destination) -> None:
    """Remove files of groups whose runs were never written.

    Raises:
        Dia2Error: they cannot be removed.
    """
    whole = {name.partition("/")[2] for name in files(there, RUNS)}
    for table in (WORDS, CALLS, DRAWS):
        for name in files(there, table):
            if name.partition("/")[2] not in whole:
                there.remove(name)


def remove(there: Destination, group: str) -> None:
    """Remove what is there of a group, unless it is whole.

    Raises:
        Dia2Error: it cannot be removed.
    """
    own = {table: [name for name in files(there, table) if name.endswith(f"/{group}.parquet")] for table in TABLES}
    if not own[RUNS]:
        for name in (name for names in own.values() for name in names):
            there.remove(name)


def forget(there: Destination, ids: set[str]) -> None:
    """Remove the rows of runs that are to be made again: those that failed, each in a group of its own.

    Raises:
        Dia2Error: they cannot be removed.
    """
    groups = {group_name([one]) for one in ids}
    for name in files(there, RUNS):
        if name.rpartition("/")[2].removesuffix(".parquet") in groups:
            there.remove(name)


def _file(table: str, model: str, group: str) -> str:
    return f"{table}/model={model}/{group}.parquet"
