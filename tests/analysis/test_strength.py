"""A curve over strengths: means and intervals by scripts, of the edit and of its control."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dia2.analysis import strength_curve
from dia2.common.errors import UsageError


def measure(strength: float) -> dict[str, list[float]]:
    return {"voice 2": [strength, 2 * strength, 0.0, 1.0], "words": [1.0, 1.0, 1.0 - strength, 1.0]}


def test_means_and_intervals_are_those_of_the_scripts() -> None:
    asked: list[float] = []
    found = strength_curve(
        lambda at: asked.append(at) or measure(at),  # type: ignore[func-returns-value]  # it is always None
        [1.0, 0.0, 0.5, 1.0],
        control=lambda _: {"voice 2": [0.0] * 4, "words": [1.0] * 4},
        units="a mean",
    )
    assert asked == [0.0, 0.5, 1.0]
    assert found.strengths.tolist() == [0.0, 0.5, 1.0]
    assert found.mean["voice 2"].tolist() == [0.25, 0.625, 1.0]
    assert found.mean["words"].tolist() == [1.0, 0.875, 0.75]
    assert found.control["voice 2"].tolist() == [0.0] * 3
    assert (found.scripts, found.units) == (4, "a mean")
    for name in ("voice 2", "words"):
        assert (found.low[name] <= found.mean[name]).all()
        assert (found.high[name] >= found.mean[name]).all()
    assert found.low["words"][0] == found.high["words"][0] == 1.0, "all scripts are the same there"
    rng = np.random.default_rng(0).integers(0, 4, (1000, 4))
    expected = np.percentile(np.array([1.0, 2.0, 0.0, 1.0])[rng].mean(axis=1), (2.5, 97.5))
    assert (found.low["voice 2"][2], found.high["voice 2"][2]) == pytest.approx(tuple(expected))


def test_one_seed_gives_one_interval() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=30).tolist()
    first, again, other = (strength_curve(lambda _: {"a": values}, [0.0], seed=seed) for seed in (1, 1, 2))
    assert first.low["a"].tolist() == again.low["a"].tolist() != other.low["a"].tolist()


@pytest.mark.parametrize(("given", "told"), [
    (lambda _: {}, "A measure gives numbers by name"),
    (lambda _: {"a": []}, "A measure gives numbers by name"),
    (lambda _: {"a": [1.0], "b": [1.0, 2.0]}, "A measure gives numbers by name"),
    (lambda at: {"a": [1.0] * (1 + int(at))}, "the same names"),
    (lambda at: {"a" if at else "b": [1.0]}, "the same names"),
    (lambda at: {"a": [float("nan")]}, "finite numbers"),
])  # fmt: skip
def test_what_is_no_measure_is_refused(given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        strength_curve(given, [0.0, 1.0])


@pytest.mark.parametrize("strengths", [[], [float("inf")], ["much"]])
def test_what_is_no_strength_is_refused(strengths: Any) -> None:
    with pytest.raises(UsageError, match="Strengths are finite numbers"):
        strength_curve(measure, strengths)
