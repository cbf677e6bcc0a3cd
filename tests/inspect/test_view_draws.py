"""Draws as the explorer gets them: which candidates of each travel, and how exactly their numbers do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia2.inspect.schema.view_draws import (
    drawn_columns,
    full_candidates,
    logit_steps,
    pack_places,
    room_for,
    rounded,
    shown_of,
    stored_candidates,
)

COND = np.array([[[0.0, 3.0, 1.0, 2.0], [9.0, 8.0, 7.0, 6.0]], [[1.0, 2.0, 3.0, 4.0], [5.0, 7.0, 6.0, 8.0]]])
CHOSEN = np.array([[1, 3], [0, 3]])  # of the second draw, and of the third, the least likely


def test_the_best_of_each_draw_travel_and_the_choice_whatever_its_rank() -> None:
    kept = COND > 2.5
    found = full_candidates(COND, 10 * COND, kept, CHOSEN, 2)
    assert found.ids.tolist() == [[[1, 3], [0, 3]], [[3, 0], [3, 1]]]
    assert found.cond.tolist() == [[[3, 2], [9, 6]], [[4, 1], [8, 7]]]
    assert np.array_equal(found.guided, 10 * found.cond)
    assert np.array_equal(found.kept, found.cond > 2.5)


def test_all_travel_where_there_are_no_more_and_the_rest_is_nobody() -> None:
    found = full_candidates(COND, COND, COND > 0, CHOSEN, 5)
    assert found.ids[0, 0].tolist() == [1, 3, 2, 0, -1]
    assert found.ids.shape == found.cond.shape == found.guided.shape == found.kept.shape == (2, 2, 5)


@given(st.lists(st.floats(2.0**-20, 1.0, width=32), min_size=1, max_size=50))
def test_chances_are_off_by_no_more_than_is_said_and_end_in_a_byte_of_zero(chances: list[float]) -> None:
    found = rounded(np.array(chances))
    assert found == pytest.approx(chances, rel=1 / 65_000)
    assert not (found.view(np.uint32) & 0xFF).any()


def test_nothing_and_certainty_stay() -> None:
    assert rounded(np.array([0.0, 1.0, 0.5])).tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize(("draws", "most", "room", "shown"), [
    (0, 16, 5 << 19, 16),
    (10, 16, 6 * 10 * 12, 12),
    (10, 16, 6 * 10 * 12 - 1, 11),
    (10**9, 16, 5 << 19, 8),
    (10**9, 5, 5 << 19, 5),
    (3, 0, 100, 1),
])  # fmt: skip
def test_a_view_has_as_many_candidates_as_a_page_has_room_for(draws: int, most: int, room: int, shown: int) -> None:
    assert room_for(draws, most, room) == shown


def test_of_all_logits_more_are_shown_and_never_more_than_there_are() -> None:
    """Of 27,306 draws a page of 2.5 MiB has room for sixteen candidates each, and one of 6 MiB for 38."""
    assert [shown_of(draws, 300, None, full=False) for draws in (27_306, 27_307, 10**6)] == [16, 15, 8]
    assert [shown_of(draws, 300, None, full=True) for draws in (27_306, 27_594, 27_595, 10)] == [38, 38, 37, 300]
    assert [shown_of(10**6, 300, asked, full=False) for asked in (3, 16, 40)] == [3, 16, 16]
    assert [shown_of(10**6, 300, asked, full=True) for asked in (3, 40, 301)] == [3, 40, 300]


def test_those_that_a_shard_has_are_shown_with_the_bits_that_keep_them() -> None:
    ids = np.arange(16).reshape(1, 1, 16)
    stored = {"draw.ids": ids, "draw.cond": -1.0 * ids, "draw.guided": -2.0 * ids, "draw.kept": np.array([[0b10_0101]])}
    found = stored_candidates(stored, np.array([[5]]), 3)
    assert found is not None
    assert found.ids.tolist() == [[[0, 1, 5]]]
    assert (found.cond.tolist(), found.guided.tolist()) == ([[[0, -1, -5]]], [[[0, -2, -10]]])
    assert found.kept.tolist() == [[[True, False, True]]]
    assert stored_candidates({"call": ids}, np.array([[5]]), 3) is None


@pytest.mark.parametrize(("vocabulary", "kind"), [(2**15 - 1, np.int16), (2**15, np.int32)])
def test_calls_that_draw_nothing_have_no_choice(vocabulary: int, kind: type) -> None:
    found = drawn_columns(None, None, np.zeros((2, 3), np.int32), 9, vocabulary)
    assert found["draw_ids"].dtype == kind
    assert (found["draw_ids"] == -1).all()
    assert (found["draw_choice"] == -1).all()
    assert found["draw_kept"].shape == (2, 3, 2), "a bit for each of nine"
    shapes = {name: column.shape for name, column in found.items()}
    assert shapes["draw_ids"] == shapes["draw_cond"] == shapes["draw_guided"] == (2, 3, 9)
    others = {name: column for name, column in found.items() if name not in ("draw_ids", "draw_choice")}
    assert not any(column.any() for column in others.values())
    assert {column.shape for name, column in others.items() if column.ndim == 2} == {(2, 3)}


def test_calls_that_draw_have_all_of_it() -> None:
    candidates = full_candidates(COND, COND / 2, COND > 2.5, CHOSEN, 2)
    found = drawn_columns(candidates, np.array([[0.5, 0.25], [np.nan, 1.0]]), CHOSEN, 2, 10)
    assert found["draw_ids"].tolist() == candidates.ids.tolist()
    assert found["draw_choice"].tolist() == CHOSEN.tolist()
    assert found["draw_kept"].tolist() == [[[0b01], [0b11]], [[0b01], [0b11]]]
    assert found["draw_probability"].tolist() == [[0.5, 0.25], [0, 1]]
    assert found["surprise"].tolist() == [[17, 33], [0, 1]]
    for name, logits in (("cond", candidates.cond), ("guided", candidates.guided)):
        told = found[f"best_{name}"][:, :, None] - found[f"draw_{name}"] * found[f"draw_step_{name}"][:, :, None]
        assert told.tolist() == logits.tolist()
    assert drawn_columns(candidates, None, CHOSEN, 2, 10)["draw_choice"].tolist() == [[-1, -1], [-1, -1]]


def test_logits_are_steps_below_the_best() -> None:
    logits = np.array([[[2.5, 2.5 - 3 / 4096, -np.inf, 7.0], [-1.0, -32.0, -1.0, -1.0], [-np.inf] * 4]])
    there = np.array([[[True, True, True, False], [True] * 4, [True, True, False, False]]])
    steps, best, step = logit_steps(logits, there)
    assert best.tolist() == [[2.5, -1, 0]]
    assert step.tolist() == [[2**-12, pytest.approx(31 / 65_534), 2**-12]]
    assert steps.tolist() == [[[0, 3, 65_535, 0], [0, 65_534, 0, 0], [65_535, 65_535, 0, 0]]]


def test_the_best_is_told_in_whole_steps_and_nothing_stands_above_it() -> None:
    steps, best, _ = logit_steps(np.array([[[1.0001, 0.0]]]), np.ones((1, 1, 2), bool))
    assert best[0, 0] * 4096 == 4096
    assert steps[0, 0].tolist() == [0, 4096]


def test_bit_i_of_a_byte_is_candidate_i() -> None:
    bits = np.zeros((1, 1, 9), int)
    bits[0, 0, [0, 3, 8]] = 1
    assert pack_places(bits).tolist() == [[[0b1001, 1]]]
