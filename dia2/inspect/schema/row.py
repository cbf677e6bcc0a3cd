"""Rows: what a run goes through, one function each, and what became of them in a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from dia2.common.brief import brief_repr

if TYPE_CHECKING:
    from dia2.inspect.store.phases import PhaseRun


@dataclass(frozen=True)
class Row:
    """One row of the table. It names its function, which is imported when somebody asks for it."""

    __repr__ = brief_repr

    number: int
    title: str
    path: str  # of the function: `dia2.engine:Dia2.generate`
    phase: str  # a phase of `dia2.common.hooks`
    speaker: int | None = None  # whose: the phase runs once per speaker
    calls: Literal["", "given", "drawn", "all"] = ""  # which ones of the run are made in it

    @property
    def function(self) -> Callable[..., Any]:
        """What it names."""
        function: Callable[..., Any] = resolve_name(self.path)
        return function

    @property
    def where(self) -> str:
        """`dia2/engine.py → Dia2.generate()`."""
        module, _, name = self.path.partition(":")
        return f"{module.replace('.', '/')}.py → {name}()"


Status = Literal["done", "not run", "failed", "not finished"]


@dataclass(frozen=True)
class FilledRow:
    """A row, filled from a trace."""

    __repr__ = brief_repr

    row: Row
    status: Status
    trigger: str = ""
    before: str = ""
    mutations: str = ""
    outputs: str = ""
    seconds: float | None = None
    note: str = ""  # why it was not run, did not finish, or failed


def filled(row: Row, runs: Sequence[PhaseRun], why_not: Callable[[], str]) -> FilledRow:
    """A row of the phases that make it; `why_not` says why there are none."""
    if not runs:
        return FilledRow(row, "not run", note=why_not())
    first, last = runs[0], runs[-1]
    seconds = sum(run.seconds for run in runs if run.seconds is not None)
    error = next((run.error for run in runs if run.error is not None), None)
    if error is not None:
        return FilledRow(row, "failed", first.trigger, first.before, seconds=seconds, note=error)
    if last.seconds is None:
        note = "the trace ends before it does"
        return FilledRow(row, "not finished", first.trigger, first.before, note=note)
    outputs = "; ".join(run.outputs for run in runs if run.outputs)
    return FilledRow(row, "done", first.trigger, first.before, last.mutations, outputs, seconds)
