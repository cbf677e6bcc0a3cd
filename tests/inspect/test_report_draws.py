"""Draws in reports: rank, logits and the best candidates."""

from __future__ import annotations

import math

import pytest

from dia2.inspect.schema.draw import Candidate, Draw
from dia2.inspect.schema.report_draws import candidates, draw_cells, draw_facts, named

TOKENS = [
    Candidate(7, 3.0, 1.5, True),
    Candidate(2, 2.0, 4.0, False),
    Candidate(9, 1.0, -math.inf, True),
    Candidate(4, 0.5, 0.25, False),
]


def facts(choice: int, probability: float = 0.25) -> dict[str, object]:
    return draw_facts(Draw("cb0", choice, probability, TOKENS), {9: "pad"})


def test_facts_are_what_json_can_hold() -> None:
    found = facts(9, math.nan)
    assert (found["name"], found["choice"], found["probability"], found["rank"]) == ("cb0", 9, None, 3)
    assert found["candidates"] == [
        {"id": 7, "name": None, "cond": 3.0, "guided": 1.5, "kept": True},
        {"id": 2, "name": None, "cond": 2.0, "guided": 4.0, "kept": False},
        {"id": 9, "name": "pad", "cond": 1.0, "guided": None, "kept": True},
        {"id": 4, "name": None, "cond": 0.5, "guided": 0.25, "kept": False},
    ]
    assert facts(100)["rank"] is None


def test_cells_of_a_draw() -> None:
    assert draw_cells(facts(7)) == ["0.2500", ("1", ""), "3.00", "1.50"]
    assert draw_cells(facts(2)) == ["0.2500", ("2", "mark"), "2.00", "4.00"]
    assert draw_cells(facts(100)) == ["0.2500", ("16 or on", "mark"), "–", "–"]
    assert draw_cells(None) == [("–", "dim")] * 4


@pytest.mark.parametrize(
    ("choice", "most", "shown"), [(7, 2, [7, 2]), (9, 2, [7, 2, 9]), (4, 1, [7, 4]), (7, 9, [7, 2, 9, 4])]
)
def test_the_best_are_listed_and_the_choice_whatever_its_rank(choice: int, most: int, shown: list[int]) -> None:
    rows = candidates(facts(choice), most).rows
    names = ["pad" if token == 9 else token for token in shown]
    assert [row[1][0] for row in rows] == names  # type: ignore[index]  # cells of a text and its style
    marked = [row[0] for row in rows]
    assert marked == [("▶" if token == choice else "", "mark") for token in shown]


def test_what_guidance_removed_is_said() -> None:
    rows = candidates(facts(2), 4).rows
    assert rows[0] == [("", "mark"), (7, ""), ("3.00", ""), ("1.50", ""), ("kept", "")]
    assert rows[1] == [("▶", "mark"), (2, "head"), ("2.00", "head"), ("4.00", "head"), ("removed", "head")]
    assert rows[2] == [("", "mark"), ("pad", ""), ("1.00", ""), ("–", ""), ("kept", "")]
    assert rows[3] == [("", "mark"), (4, "dim"), ("0.50", "dim"), ("0.25", "dim"), ("removed", "dim")]


def test_in_a_line_what_might_not_be_drawn_stands_in_brackets() -> None:
    assert named(facts(9), 2) == [
        "", ("", "mark"), ("7 3.00", ""),
        "  ", ("", "mark"), ("(2 2.00)", ""),
        "  ", ("▶ ", "mark"), ("pad 1.00", "head"),
    ]  # fmt: skip
