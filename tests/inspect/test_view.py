"""What a view of a run is made of: texts that are safe to show, rows, and the outline of its sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dia2.inspect.schema.row import FilledRow, Row
from dia2.inspect.schema.view import View, guided, peaks, row_header, text

ROW = Row(3, "Hum", "hum.loop:hum", "hum.loop")


def test_texts_are_cut_and_steer_nothing() -> None:
    assert text("a\x1b[31m\u202eb") == "a�[31m�b"
    assert (text("x" * 200), text("x" * 201)) == ("x" * 200, "x" * 199 + "…")
    assert (text("abc", 3), text("abcd", 3)) == ("abc", "ab…")


def test_guidance_is_told_as_people_write_it() -> None:
    assert guided(3.0, 50).startswith("Guidance (cfg 3, keeps 50) decides ")
    assert guided(1.25, 1).startswith("Guidance (cfg 1.25, keeps 1) ")


def test_a_view_has_columns_of_its_own() -> None:
    assert View({}).columns == {}
    assert View({}).columns is not View({}).columns


@pytest.mark.parametrize(("filled", "lit", "wanted"), [
    (FilledRow(ROW, "done", "a tune", "none", "", "x" * 300, 0.5), [(2, 4), (7, None)],
     {"status": "done", "cells": {"trigger": "a tune", "outputs": "x" * 199 + "…"}, "seconds": 0.5, "note": "",
      "lit": [(2, 4), (7, None)], "call": 2}),
    (FilledRow(ROW, "failed", "a", "b", "c", "d", note="it\x07broke"), [(0, None)],
     {"status": "failed", "cells": {"trigger": "a", "before": "b", "mutations": "c", "outputs": "d"}, "seconds": None,
      "note": "it�broke", "lit": [(0, None)], "call": 0}),
    (FilledRow(ROW, "not run", note="so"), [(0, None)],
     {"status": "not run", "cells": {}, "seconds": None, "note": "so", "lit": [], "call": None}),
    (FilledRow(ROW, "not finished"), [],
     {"status": "not finished", "cells": {}, "seconds": None, "note": "", "lit": [], "call": None}),
])  # fmt: skip
def test_a_row_is_lit_where_it_was_run(filled: FilledRow, lit: list[Any], wanted: dict[str, Any]) -> None:
    assert row_header(filled, lit) == wanted | {"number": 3, "title": "Hum", "where": "hum/loop.py → hum()"}


def test_peaks_are_the_least_and_the_largest_of_a_hundredth_of_a_second() -> None:
    samples = np.array([0.5, -1, 0.25, 2, np.nan, -0.5, 1 / 127, 0.75, 0.25], np.float32)
    found = peaks(samples, 400)
    assert found.tolist() == [[-127, 127], [-64, 95], [0, 32]], "the last is filled up with silence"
    assert found.dtype == np.int8
    assert peaks(samples[:4], 40).tolist() == [[64, 64], [-127, -127], [32, 32], [127, 127]]
    assert peaks(samples[:4], 150).tolist() == [[-127, 64], [32, 127]], "widths are whole samples"
    assert peaks(samples[:0], 400).shape == (0, 2)
