"""Searching columns and words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dia2.common.checks import plain


def changes_or_hits(column: np.ndarray, value: int | Callable[[int], bool] | None) -> list[int]:
    """Calls at which `column` [calls] has a value or satisfies a predicate; `None`: where it differs from before."""
    if value is None:
        hits = np.flatnonzero(np.diff(column)) + 1
    elif callable(value):
        hits = np.flatnonzero([value(int(part)) for part in column])
    else:
        hits = np.flatnonzero(column == plain(value))
    found: list[int] = hits.tolist()
    return found


def bare(text: str) -> str:
    """A word without its punctuation and case."""
    return "".join(char for char in text.casefold() if char.isalnum() or char in "'’")
