"""By which numbers cells can be coloured: those that a family declares and a view has."""

from __future__ import annotations

import numpy as np

from dia2.inspect import load, sample
from dia2.inspect.schema.column import Column, Layout
from dia2.inspect.schema.view import View
from dia2.inspect.schema.view_shades import shades
from dia2.inspect.views.explorer.view import view_of

from ..support.traces import recorded_dia


def test_a_declared_column_of_one_number_a_call_is_a_shade() -> None:
    declared = (
        Column("call", "I32", ("n",), "tokens", ""),
        Column("phase", "U8", ("n",), "tokens", "", (0, 2)),
        Column("left_over", "I32", ("n",), "tokens", "words\x07 left", (0, 9), unit="word"),
        Column("named", "I32", ("n",), "tokens", "after the step", label="as told"),
        Column("token", "I32", ("n",), "tokens", "an id", (-1, "vocabulary")),  # its order means nothing
        Column("codes", "I32", ("n", "K"), "tokens", ""),
        Column("elsewhere", "I32", ("n",), "tokens", ""),  # not in the view
    )
    layout = Layout({column.name: column for column in declared}, frozenset())
    numbers = ("call", "phase", "left_over", "named", "token", "undeclared")
    columns = {name: np.arange(3) for name in numbers} | {"codes": np.zeros((3, 2), int)}
    found = shades(View({"calls": 3}, columns), layout)
    assert found == [
        {"column": "left_over", "label": "Left over", "told": "words� left", "unit": "word"},
        {"column": "named", "label": "As told", "told": "after the step", "unit": ""},
    ]


def test_families_have_theirs() -> None:
    view = view_of(sample())
    units = {shade["column"]: shade["unit"] for shade in view.header["shades"]}
    assert units["padding_budget"] == units["forced_padding"] == "frame"
    assert units["entries_left"] == "entry"
    assert {"main", "second", "action"}.isdisjoint(units)  # ids
    assert all(view.columns[name].shape == (77,) for name in units)
    assert [shade["column"] for shade in view_of(load(recorded_dia())).header["shades"]] == ["countdown"]
