"""Small sweeps, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.maker import Dia2Maker
from dia2.inspect.sweeps.plan import Plan, RunOptions
from dia2.inspect.sweeps.query import query
from dia2.inspect.sweeps.sweep import SweepProgress, make

from ..support.reference import engine

SCRIPT = "[S1] one two three [S2] four"
GRID: dict[str, Any] = {"script": [SCRIPT, "[S1] Yes."], "seed": [1, 2], "cfg_scale": [1, 2.5]}


def maker() -> Dia2Maker:
    return Dia2Maker(engine("tiny4"))


def swept(folder: Path | str, grid: dict[str, Any] | None = None, *, again: bool = False, **run: Any) -> Any:
    return make(Plan(grid or GRID, run=RunOptions(**run)), folder, makers=[maker()], again=again)


def interrupted(folder: Path) -> None:
    """A sweep that Ctrl-C ends in its middle."""

    def stop(now: SweepProgress) -> None:
        if now.frames == 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(Plan(GRID, run=RunOptions(rows=2)), folder, makers=[maker()], tell=stop)


def rows_of(folder: Path | str, columns: str = "*") -> list[dict[str, Any]]:
    names, rows = query(folder, f"select {columns} from runs order by run")
    return [dict(zip(names, row, strict=True)) for row in rows]
