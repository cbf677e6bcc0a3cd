"""Which measures tell most: those that the settings move, beyond what seeds scatter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dia2.inspect.views.sweeps.gathered import Gathered, RunColumn

_GIVEN = ("script", "seed")  # that move much, and that nobody chooses between
_OF_MAKING = ("seconds", "tries")  # measures of how a run was made, not of what came out
_ALIKE = 0.98  # correlation of measures of which one tells what the other does


def telling(found: Gathered, most: int) -> list[RunColumn]:
    """Measures by how far a setting moves them, the farthest first, none that repeats another.

    Args:
        found: the runs.
        most: of them.
    """
    axes = [axis for axis in found.axes if axis.name not in _GIVEN] or found.axes
    measures = [column for column in found.of("measure") if column.distinct > 1]
    own = [column for column in measures if column.name not in _OF_MAKING] or measures
    scores = {column.name: max((moved(found, axis, column) for axis in axes), default=0.0) for column in own}
    chosen: list[RunColumn] = []
    for column in sorted(own, key=lambda one: -scores[one.name]):
        if len(chosen) < most and not any(_alike(column.values, one.values) for one in chosen):
            chosen.append(column)
    return chosen


def moved(found: Gathered, axis: RunColumn, measure: RunColumn) -> float:
    """The share of a measure's variance, of runs that are done, that a setting accounts for; chance gives 0."""
    there = ~found.failed & ~np.isnan(measure.values)
    groups = [group for group in _groups(axis.values[there], measure.values[there]) if len(group)]
    values = measure.values[there]
    count, total = len(values), float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
    if count <= len(groups) or total == 0:
        return 0.0
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    by_chance = (len(groups) - 1) * within / (count - len(groups))
    return max(0.0, (total - within - by_chance) / total)


def _groups(keys: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
    for key in np.unique(keys):
        yield values[keys == key]


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    both = ~np.isnan(a) & ~np.isnan(b)
    if both.sum() < 3 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return False
    return bool(abs(np.corrcoef(a[both], b[both])[0, 1]) > _ALIKE)
