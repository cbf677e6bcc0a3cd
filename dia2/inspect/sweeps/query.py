"""Asking the dataset of a sweep, by SQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination

if TYPE_CHECKING:
    import duckdb


# The checkpoint, by a file's own folder: `hive_partitioning` would take folders above the dataset for columns, too.
_WITH_MODEL = (
    r"* exclude (filename), regexp_extract(filename, 'model=([^/\\]+)[/\\][0-9a-f]{20}\.parquet$', 1) as model"
)


def connect(destination: str | Path) -> duckdb.DuckDBPyConnection:
    """DuckDB, in memory, with the tables `runs`, `words`, `calls` and `draws` of a dataset as views.

    Rows of a group that is being written do not show. No query can read another file.

    Raises:
        UsageError: there is no dataset.
        Dia2Error: duckdb is missing, or the dataset cannot be read.
    """
    try:
        import duckdb
    except ImportError as error:
        raise Dia2Error("Queries need duckdb: pip install 'dia2-inspect[sweeps]'.") from error
    there = Destination(destination)
    names = {table: dataset.files(there, table) for table in reversed(dataset.TABLES)}  # runs first: they come last
    if not names[dataset.RUNS]:
        raise UsageError(f"There is no dataset in {destination}: give the folder that dia2 sweep wrote to.")
    whole = {name.partition("/")[2] for name in names[dataset.RUNS]}
    connection = duckdb.connect()
    try:
        if there.local is None:
            connection.register_filesystem(there.fs)
        for table, files in names.items():
            paths = [_address(there, name) for name in files if name.partition("/")[2] in whole]
            if paths:
                found = connection.read_parquet(paths, union_by_name=True, filename=True, hive_partitioning=False)
                found.project(_WITH_MODEL).create_view(table)
            else:  # all runs have failed
                connection.sql("select null::varchar as run where false").create_view(table)
        connection.execute("set allowed_directories = [$folder]", {"folder": _address(there, "").rstrip("/")})
        connection.execute("set enable_external_access = false")  # all but those: files, the network, extensions
        connection.execute("set lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise Dia2Error(f"The dataset of {destination} cannot be read ({one_line(error)}).") from error
    return connection


def query(destination: str | Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The answer to a question: names of its columns, and its rows.

    Raises:
        UsageError: there is no dataset, or it is no SQL that can be answered.
        Dia2Error: as `connect`.
    """
    connection = connect(destination)
    import duckdb

    asking = (duckdb.StatementType.SELECT, duckdb.StatementType.CREATE)  # which is in memory
    try:
        statements = connection.extract_statements(sql)
        if not statements:
            raise UsageError('A query asks something, such as "select count(*) from runs".')
        for statement in statements:
            if statement.type not in asking:
                raise UsageError(f"A query only asks, by select, and this one is of the kind {statement.type.name}.")
        found = connection.execute(sql)
        return [column[0] for column in found.description or []], found.fetchall()
    except duckdb.Error as error:
        raise UsageError(f"The query cannot be answered: {one_line(error)}.") from error
    finally:
        connection.close()


def _address(there: Destination, name: str) -> str:
    if there.local is not None:
        return str(there.local.resolve() / name)
    protocol = there.fs.protocol if isinstance(there.fs.protocol, str) else there.fs.protocol[0]
    return f"{protocol}://{there.path(name)}"
