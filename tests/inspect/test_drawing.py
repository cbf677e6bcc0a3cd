"""Settings under which a run seldom speaks well, each at its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dia2.inspect.trace.drawing import Drawing, Usual, drawn_badly

USUAL = Usual(0.8, "guide it", "draw from more", "cool it")
GOOD = Drawing(0, 9, "cfg 3", True, 0.8, 50, "temperature 0.8, top-k 50")


def test_usual_settings_bring_nothing() -> None:
    assert list(drawn_badly([GOOD, replace(GOOD, first=10, last=12)], USUAL)) == []


@pytest.mark.parametrize(
    ("temperature", "candidates", "told"),
    [
        (0.2, 50, ["sampling-narrow"]),
        (0.21, 50, []),
        (0.8, 3, ["sampling-narrow"]),
        (0.8, 1, ["sampling-narrow"]),
        (0.8, 4, []),
        (0.8, 0, []),  # all of them
        (1.48, 50, []),
        (1.49, 50, []),
        (1.5, 2, ["sampling-narrow", "sampling-wide"]),
    ],
)
def test_a_limit_is_where_it_is_said_to_be(temperature: float, candidates: int, told: Sequence[str]) -> None:
    one = replace(GOOD, temperature=temperature, candidates=candidates, sampling="so")
    assert [found.kind for found in drawn_badly([one], USUAL)] == told


def test_too_much_is_by_the_family_s_own_temperature() -> None:
    one = replace(GOOD, temperature=1.5)
    assert [found.kind for found in drawn_badly([one], replace(USUAL, temperature=1.2))] == []
    assert [found.severity for found in drawn_badly([one], USUAL)] == ["bad"]


def test_each_says_where_how_and_what_to_do() -> None:
    one = Drawing(3, 7, "cfg 1", False, 0.0, 50, "temperature 0, top-k 50")
    assert [(found.text, found.call, found.until, found.fix) for found in drawn_badly([one], USUAL)] == [
        ("Guidance is off (cfg 1) in calls 3 … 7.", 3, 7, "guide it"),
        (
            "Codes are drawn from very few candidates (temperature 0, top-k 50) in calls 3 … 7.",
            3,
            7,
            "draw from more",
        ),
    ]
    (wide,) = drawn_badly([replace(one, guided=True, temperature=2.0, sampling="temperature 2")], USUAL)
    assert (wide.text, wide.fix) == (
        "Codes are drawn almost at random (temperature 2) in calls 3 … 7.",
        "cool it",
    )


def test_what_follows_without_a_gap_is_told_once() -> None:
    bad = [replace(GOOD, first=first, last=last, guided=False) for first, last in ((0, 4), (5, 6), (8, 9), (10, 11))]
    between = replace(GOOD, first=7, last=7)
    found = list(drawn_badly([*bad[:2], between, *bad[2:]], USUAL))
    assert [(one.call, one.until) for one in found] == [(0, 6), (8, 11)]
