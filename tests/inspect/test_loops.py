"""Codes that repeat: how alike, how long, and how far back, each limit on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from dia2.inspect.trace.loops import loops, repeating


def codes(rows: int, books: int = 10) -> np.ndarray:
    """[rows, books] of which no two are the same."""
    return np.arange(rows * books).reshape(rows, books)


def again(first: int, period: int, length: int, rows: int = 60, books: int = 10) -> np.ndarray:
    """Codes of which so many rows after `first + period` are those of one period before."""
    made = codes(rows, books)
    for row in range(first + period, first + period + length):
        made[row] = made[row - period]
    return made


EVERY = np.ones(60, bool)


@pytest.mark.parametrize(("length", "told"), [(7, []), (8, [(5, 14, 1)])])
def test_it_takes_eight_tenths_of_a_second(length: int, told: list[tuple[int, int, int]]) -> None:
    assert repeating(again(5, 1, length), EVERY, 10.0) == told


def test_two_rows_are_the_least_however_few_a_second_has() -> None:
    assert repeating(again(5, 1, 1), EVERY, 1.0) == []
    assert repeating(again(5, 1, 2), EVERY, 1.0) == [(5, 8, 1)]


@pytest.mark.parametrize(("period", "length", "told"), [
    (9, 8, []), (9, 9, [(5, 23, 9)]), (10, 10, [(5, 25, 10)]), (11, 11, []),
])  # fmt: skip
def test_all_of_it_comes_again_and_no_later_than_after_ten_seconds(
    period: int, length: int, told: list[tuple[int, int, int]]
) -> None:
    assert repeating(again(5, period, length), EVERY, 1.0) == told


def test_half_of_the_run_is_the_longest_period() -> None:
    assert repeating(again(0, 6, 6, 12), EVERY[:12], 1.0) == [(0, 12, 6)]
    assert repeating(codes(1), EVERY[:1], 1.0) == []


@pytest.mark.parametrize(("alike", "told"), [(6, []), (7, [(5, 14, 1)])])
def test_seven_of_ten_codebooks_are_enough(alike: int, told: list[tuple[int, int, int]]) -> None:
    made = again(5, 1, 8)
    made[6:14, alike:] = codes(60)[6:14, alike:]
    assert repeating(made, EVERY, 10.0) == told


@pytest.mark.parametrize("pause", [5, 9, 13])
def test_both_rows_have_to_count(pause: int) -> None:
    made = again(5, 1, 8)
    assert repeating(made, np.arange(60) != pause, 10.0) == []
    assert repeating(made, np.arange(60) != 4, 10.0) == [(5, 14, 1)]
    assert repeating(made, np.arange(60) != 14, 10.0) == [(5, 14, 1)]


def test_of_two_that_overlap_the_longer_is_told_and_else_the_shorter_period() -> None:
    assert repeating(again(5, 1, 12), EVERY, 10.0) == [(5, 18, 1)], "which repeats with any period"
    both = again(5, 1, 8)
    both[14:24] = codes(100)[60:70]
    both[24:44] = np.tile(both[14:24], (2, 1))
    assert repeating(both, EVERY, 10.0) == [(5, 14, 1), (14, 44, 10)]


def test_a_finding_says_how_long_it_sounds_and_where() -> None:
    (found,) = loops(again(5, 1, 8), EVERY, 100, 10.0)
    assert (found.text, found.call, found.until) == ("0.9 s of sound have the same codes.", 105, 113)
    assert "draw less narrowly" in found.fix
    (found,) = loops(again(5, 9, 11), EVERY, 0, 10.0, "do so")
    assert found.text == "2.0 s of sound have the same 9 calls' codes over and over."
    assert (found.call, found.until, found.fix) == (5, 24, "do so")
