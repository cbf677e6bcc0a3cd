"""Comparing datasets of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dia2.inspect.sweeps.query import query

ORDERS = {"runs": "run", "words": "run, index", "calls": "run, call", "draws": "run, call, draw"}
_TIMES = ("seconds", "started")  # of a run; of a call those that begin with time_


def rows_of(dataset: str | Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table but for what is no two times the same."""
    names, rows = query(dataset, f"select * from {table} order by {ORDERS[table]}")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    left_out = {name for name in names if (table == "runs" and name in _TIMES) or name.startswith("time_")}
    return [{name: value for name, value in row.items() if name not in left_out} for row in found]


def same_tables(one: str | Path, two: str | Path) -> None:
    """All runs are in both, none twice, and all that is known of them is the same."""
    for table in ORDERS:
        assert rows_of(one, table) == rows_of(two, table), table
    runs = [row["run"] for row in rows_of(one, "runs")]
    assert len(runs) == len(set(runs)) > 0
