"""The runs of a dataset as columns: what was set, what was measured, and what else is known of each.

All of it was written by whoever wrote the dataset: texts are cut short and rid of control characters here, and what is
more than a page bears is left out and told of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dia2.common.errors import UsageError
from dia2.common.wording import counted, plural
from dia2.inspect.schema.view import text
from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination

if TYPE_CHECKING:
    import pyarrow as pa

Role = Literal["setting", "measure", "about"]
Kind = Literal["number", "flag", "text"]

MOST_RUNS = 20_000  # that are shown
MOST_COLUMNS = 200
MOST_TEXT = 8_000_000  # characters of all columns together
_WHOLE = 2**53  # beyond which a float does not tell whole numbers apart
_LAST = ("seconds", "tries")  # of the measures: what a family measures tells more
_HIDDEN = ("run", "trace")
_RUN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)  # a run's id that can be a name of a file


@dataclass(frozen=True)
class RunColumn:
    """One thing that is known of each run."""

    name: str
    role: Role
    kind: Kind
    values: np.ndarray  # [runs] float64, NaN for none; of texts int32, places in `texts`, −1 for none
    texts: list[str] = field(default_factory=list)
    whole: bool = False  # all of its numbers are

    @cached_property
    def distinct(self) -> int:
        """How many values it has, without none."""
        there = self.values[self.values >= 0] if self.kind == "text" else self.values[~np.isnan(self.values)]
        return len(np.unique(there))

    def told(self, value: float) -> str:
        """A value of it as it is read."""
        if self.kind == "text":
            return self.texts[int(value)]
        if self.kind == "flag":
            return "yes" if value else "no"
        return f"{value:.0f}" if self.whole else f"{value:.4g}"


@dataclass(frozen=True)
class Gathered:
    """The runs of a dataset."""

    there: Destination
    ids: list[str]  # as they are shown
    raw_ids: list[str]  # as the dataset has them
    traces: list[bool]  # whether each left a trace, in its place
    columns: list[RunColumn]
    left_out: list[str]  # what is not shown, and why, as sentences

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> str:
        """Of the dataset: that of its folder."""
        return text(self.there.root.rpartition("/")[2] or str(self.there))

    def of(self, role: Role) -> list[RunColumn]:
        """Columns of a role."""
        return [column for column in self.columns if column.role == role]

    @property
    def axes(self) -> list[RunColumn]:
        """Settings of which there is more than one value."""
        return [column for column in self.of("setting") if column.distinct > 1]

    def column(self, name: str) -> RunColumn | None:
        """By its name; `None`: there is none."""
        return next((column for column in self.columns if column.name == name), None)

    @cached_property
    def failed(self) -> np.ndarray:
        """[runs] bool: those that failed."""
        status = self.column("status")
        if status is None:
            return np.zeros(len(self), bool)
        return np.isin(status.values, [i for i, one in enumerate(status.texts) if one == dataset.FAILED])


def gather(destination: str | Path) -> Gathered:
    """The runs of a dataset.

    Raises:
        UsageError: there is none.
        Dia2Error: it is damaged, or cannot be read; or pyarrow is missing.
    """
    there = Destination(destination)
    table = dataset.read_runs(there)
    if table is None or not {"run", "status"} <= set(table.column_names):
        raise UsageError(f"There is no dataset in {destination}: give the folder that dia2 sweep wrote to.")
    left_out = []
    if len(table) > MOST_RUNS:
        left_out.append(f"The first {MOST_RUNS:,} of {len(table):,} runs are shown: ask dia2 query for the others.")
        table = table.slice(0, MOST_RUNS)
    if len(table["model"].unique()) == 1:  # it tells nothing apart
        table = table.drop_columns("model")
    settings, in_force = _settings(there)
    found = list(_columns(table, settings, in_force, left_out))
    raw = [str(run) for run in table["run"].to_pylist()]
    traces = _traces(table, raw)
    gathered = Gathered(there, [text(run) for run in raw], raw, traces, _ordered(found, settings), left_out)
    return _sorted(gathered)


def _settings(there: Destination) -> tuple[list[str], set[str]]:
    """Names of what the plans of a dataset set, and of all that is in force in its runs."""
    names, in_force = ["script", "seed"], set[str]()
    for name in there.names("plans"):
        try:
            plan = json.loads(there.read(name) or b"{}")
            names += [str(one) for one in plan["grid"]]
            in_force |= {str(one) for one in plan["in_force"]}
        except (ValueError, RecursionError, LookupError, TypeError):
            continue  # no plan of ours; its columns are measures then, or texts
    return list(dict.fromkeys(names)), in_force


def _columns(
    table: pa.Table, settings: Sequence[str], in_force: Collection[str], left_out: list[str]
) -> Iterator[RunColumn]:
    import pyarrow as pa

    names = [name for name in table.column_names if name not in _HIDDEN]
    if len(names) > MOST_COLUMNS:
        left_out.append(f"{counted(len(names) - MOST_COLUMNS, 'column')} of {len(names):,} are left out.")
    room, without = MOST_TEXT, []
    for name in names[:MOST_COLUMNS]:
        values, kind = table[name], table.schema.field(name).type
        setting = name in settings
        measure: Role = "about" if name in in_force else "measure"
        if values.null_count == len(values):
            continue
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            made = _numbers(name, "setting" if setting else measure, values)
        else:
            made = _texts(name, "setting" if setting else "about", [_as_text(one) for one in values.to_pylist()])
        room -= sum(map(len, made.texts))
        if room < 0:
            without.append(text(name, 40))
            continue
        yield made
    if without:
        what = "column" if len(without) == 1 else plural("column")
        left_out.append(f"The {what} {', '.join(without[:5])} would make too much text and cannot be shown.")


def _numbers(name: str, role: Role, values: pa.ChunkedArray) -> RunColumn:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_integer(kind) and any(one is not None and abs(one) > _WHOLE for one in values.to_pylist()):
        made = _texts(name, role, [None if one is None else str(one) for one in values.to_pylist()])
        return made if role == "setting" else RunColumn(made.name, "about", "text", made.values, made.texts)
    numbers = np.array([np.nan if one is None else float(one) for one in values.to_pylist()])
    numbers[~np.isfinite(numbers)] = np.nan
    there = numbers[~np.isnan(numbers)]
    whole = bool((np.abs(there) < _WHOLE).all() and (there == np.round(there)).all())
    return RunColumn(text(name, 60), role, "flag" if pa.types.is_boolean(kind) else "number", numbers, whole=whole)


def _texts(name: str, role: Role, values: Sequence[str | None]) -> RunColumn:
    distinct = sorted({one for one in values if one is not None})
    places = {one: place for place, one in enumerate(distinct)}  # by the whole text: two that are cut alike stay two
    codes = np.array([-1 if one is None else places[one] for one in values], np.int32)
    return RunColumn(text(name, 60), role, "text", codes, [text(one) for one in places])


def _as_text(value: Any) -> str | None:
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(str, value[:8]))
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def _traces(table: pa.Table, runs: Sequence[str]) -> list[bool]:
    """Whether each run has a trace where its id says; one that lies elsewhere is none of the dataset's."""
    if "trace" not in table.column_names:
        return [False] * len(runs)
    pairs = zip(table["trace"].to_pylist(), runs, strict=True)
    return [bool(_RUN.fullmatch(run)) and trace == dataset.trace_name(run) for trace, run in pairs]


def _ordered(columns: Sequence[RunColumn], settings: Sequence[str]) -> list[RunColumn]:
    """Status, what differs in its settings, measures, the rest, and what all have in common."""

    def rank(column: RunColumn) -> tuple[int, int]:
        if column.name == "status":
            return 0, 0
        if column.role == "setting":
            return (1 if column.distinct > 1 else 4), settings.index(column.name) if column.name in settings else 0
        if column.role == "measure":
            return 2, _LAST.index(column.name) + 1 if column.name in _LAST else 0
        return 3, 0

    return sorted(columns, key=rank)


def _sorted(found: Gathered) -> Gathered:
    """The same with its runs in the order of their settings: files come in the order of their digests."""
    if not len(found):
        return found
    keys = [column.values for column in reversed(found.axes)] or [np.arange(len(found))]
    order = np.lexsort([*keys])
    columns = [
        RunColumn(column.name, column.role, column.kind, column.values[order], column.texts, column.whole)
        for column in found.columns
    ]
    ids, raw_ids = ([given[i] for i in order] for given in (found.ids, found.raw_ids))
    traces = [found.traces[i] for i in order]
    return Gathered(found.there, ids, raw_ids, traces, columns, found.left_out)
