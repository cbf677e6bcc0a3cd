"""Draws as the explorer gets them: which candidates of each travel, and how exactly their numbers do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia2.inspect.schema.view_draws import full_candidates, rounded

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
