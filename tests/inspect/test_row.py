"""Rows of the table: what a run's phases make of them."""

from collections.abc import Callable

import pytest

from dia2.inspect.schema.row import FilledRow, Row, filled
from dia2.inspect.store.phases import PhaseRun

ROW = Row(4, "Hum", "dia2.inspect.schema.row:Row", "hum.loop")


def run(number: int, **more: object) -> PhaseRun:
    begun = PhaseRun(number, "hum.loop", None, 0.0, f"trigger {number}", f"before {number}")
    return PhaseRun(**(vars(begun) | more))


def never() -> str:
    raise AssertionError("it was run")


def done(number: int, seconds: float, outputs: str = "") -> PhaseRun:
    return run(number, seconds=seconds, mutations=f"mutations {number}", outputs=outputs)


def test_a_row_names_its_function() -> None:
    assert ROW.function is Row
    assert ROW.where == "dia2/inspect/schema/row.py → Row()"


@pytest.mark.parametrize(("runs", "why", "wanted"), [
    ([], lambda: "nobody hummed", FilledRow(ROW, "not run", note="nobody hummed")),
    ([done(1, 0.5, "a")], never,
     FilledRow(ROW, "done", "trigger 1", "before 1", "mutations 1", "a", 0.5)),
    ([done(1, 0.5, "a"), done(2, 0.25), done(3, 1.0, "c")], never,
     FilledRow(ROW, "done", "trigger 1", "before 1", "mutations 3", "a; c", 1.75)),
    ([done(1, 0.5, "a"), run(2)], never,
     FilledRow(ROW, "not finished", "trigger 1", "before 1", note="the trace ends before it does")),
    ([run(1), done(2, 0.5, "b")], never,
     FilledRow(ROW, "done", "trigger 1", "before 1", "mutations 2", "b", 0.5)),
    ([done(1, 0.5, "a"), run(2, seconds=0.25, error="it broke"), run(3, error="again")], never,
     FilledRow(ROW, "failed", "trigger 1", "before 1", seconds=0.75, note="it broke")),
    ([run(1, seconds=0.25, error="")], never,
     FilledRow(ROW, "failed", "trigger 1", "before 1", seconds=0.25, note="")),
])  # fmt: skip
def test_what_became_of_it(runs: list[PhaseRun], why: Callable[[], str], wanted: FilledRow) -> None:
    assert filled(ROW, runs, why) == wanted
