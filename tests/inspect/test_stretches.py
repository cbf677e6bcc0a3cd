"""What follows each other without a gap."""

import numpy as np

from dia2.inspect.trace.stretches import in_a_row, stretches


def test_stretches_of_a_mask() -> None:
    there = np.array([True, True, False, True, False, False, True])
    assert stretches(there) == [(0, 2), (3, 4), (6, 7)]
    assert stretches(~there) == [(2, 3), (4, 6)]
    assert stretches(np.zeros(3, bool)) == stretches(np.zeros(0, bool)) == []
    assert stretches(np.ones(3, bool)) == [(0, 3)]


def test_items_in_a_row() -> None:
    assert in_a_row([1, 2, 4, 7, 8], lambda one, other: other == one + 1) == [[1, 2], [4], [7, 8]]
    assert in_a_row([1, 2, 3, 5], lambda one, other: other == one + 1) == [[1, 2, 3], [5]], "neighbours are asked"
    assert in_a_row([1, 3, 7], lambda one, other: other - one <= 2) == [[1, 3], [7]]
    assert in_a_row([], lambda one, other: True) == []
