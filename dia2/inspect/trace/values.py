"""What the declaration of its columns tells of a trace of any family."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.errors import TraceError
from dia2.common.wording import counted, finite
from dia2.inspect.schema.caches import Caches, Curve, Panel
from dia2.inspect.schema.column import Column
from dia2.inspect.schema.report import Facts

if TYPE_CHECKING:
    from dia2.inspect.trace.data import TraceData


class Values:
    """The columns of level `tokens`, of one script, by what they are."""

    def __init__(self, trace: TraceData[Any], script: int) -> None:
        """Sort them."""
        scripts, books = trace.adapter.axes
        self.numbers: dict[str, np.ndarray] = {}  # [calls]
        self.times: dict[str, np.ndarray] = {}  # [calls] seconds
        self.codes: dict[str, np.ndarray] = {}  # [calls, K] negative: none
        for column in trace.adapter.layout.per_call:
            values, axes = trace.column(column.name), column.shape[1:]
            if axes[:1] == (scripts,):
                values, axes = values[:, script], axes[1:]
            if axes == (books,):
                self.codes[column.name] = values
            elif not axes and column.name not in ("call", "phase"):
                (self.times if column.is_time else self.numbers)[column.name] = values
        drawn = (kind.column for kind in trace.adapter.draws)
        self.drawn = next((self.codes[name] for name in drawn if name in self.codes), None)

    def at(self, call: int) -> Facts:
        """Numbers of one call; before the first there are none."""
        return {name: int(values[call]) if call >= 0 else None for name, values in self.numbers.items()}

    def seconds(self, call: int) -> Facts:
        """Times of one call; `None` where they are not known."""
        return {name: finite(float(values[call])) for name, values in self.times.items()}


def _kept(trace: TraceData[Any]) -> Iterator[Column]:
    """The columns that have a place for every call, but for its number."""
    return (column for column in trace.adapter.layout.per_call if column.name != "call")


def field(trace: TraceData[Any], name: str | None, script: int, **more: np.ndarray) -> np.ndarray:
    """[calls] a column of one number per call, one place of a column of several (`written.3`), or one of `more`.

    Raises:
        TraceError: there is no such field; says which there are.
    """
    scripts, books = trace.adapter.axes
    fields = {"call": trace.column("call"), **more}
    lists: dict[str, np.ndarray] = {}  # [calls, …] by how they are asked for
    for column in _kept(trace):
        values, axes = trace.column(column.name), column.shape[1:]
        if axes[:1] == (scripts,):
            values, axes = values[:, script], axes[1:]
        if column.is_time:
            continue
        if axes:
            key = axes[-1].lower() if axes[-1] == books else "i"
            lists[f"{column.name}.{key}"] = values.reshape(len(values), math.prod(values.shape[1:]))
        else:
            fields[column.name] = values
    found: dict[str, np.ndarray] = dict(fields)
    for key, values in lists.items():
        found |= {f"{key.rpartition('.')[0]}.{i}": one for i, one in enumerate(values.T)}
    if name not in found:
        asked = "find() needs a field or a word" if name is None else f"A trace has no field {name!r}"
        raise TraceError(f"{asked}; it has {', '.join([*lists, *sorted(fields)])}.")
    return found[name]


def parts(trace: TraceData[Any], call: int, scripts: int, most: int) -> Iterator[tuple[str, object, str]]:
    """What `scripts` scripts, of `most` that are compared, have at a call in every column: what, value, text."""
    batched = trace.adapter.axes[0]
    for column in _kept(trace):
        if column.is_time:
            continue
        values, each = trace.column(column.name)[call], column.shape[1:2] == (batched,)
        for script in range(scripts if each else 1):
            own = values[script] if each else values
            whose = f"script {script + 1} " if each and most > 1 else ""
            if own.ndim == 0:
                yield f"{whose}{column.told}", int(own), str(own)
                continue
            for k, value in enumerate(own.reshape(-1).tolist()):
                yield f"{whose}{trace.adapter.codebook} {k} {column.told}", value, str(value)


def caches(trace: TraceData[Any]) -> Caches | None:
    """How the columns that count slots of caches grow; `None`: there are none."""
    panels: list[Panel] = []
    told = []
    for column in _kept(trace):
        if column.view == "cache":
            values = trace.column(column.name)
            curve = Curve(column.told, values, "small" if panels else "filled", column.meaning)
            panels.append(Panel(column.told, (curve,)))
            told.append(f"{column.told} {counted(int(values[-1]), column.unit or 'slot')}")
    if not panels:
        return None
    return Caches(tuple(panels), f"after {counted(len(trace), 'call')}: {' · '.join(told)}", "given")
