"""Codes of one frame in columns of their own, and back."""

import numpy as np
import pytest

from dia2.inspect.schema.grid import delayed, undelayed


def test_each_codebook_is_late_by_its_delay() -> None:
    grid = delayed(np.array([[1, 2], [3, 4], [5, 6]]), [0, 2, 1], 9)
    assert grid.tolist() == [[1, 2, 9, 9], [9, 9, 3, 4], [9, 5, 6, 9]]


@pytest.mark.parametrize(("columns", "frames"), [(5, 3), (3, 1), (2, 0), (1, 0)])
def test_back_in_frames_only_whole_ones_are_left(columns: int, frames: int) -> None:
    grid = np.arange(2 * columns).reshape(2, columns)
    found = undelayed(grid, [1, 2])
    assert found.shape == (2, frames)
    assert found.tolist() == [grid[0, 1 : 1 + frames].tolist(), grid[1, 2 : 2 + frames].tolist()]


def test_there_and_back_nothing_is_lost() -> None:
    codes = np.arange(12).reshape(3, 4)
    grid = delayed(codes, [0, 3, 1], -1)
    assert np.array_equal(undelayed(grid, [0, 3, 1]), codes)
    assert grid.dtype == codes.dtype
