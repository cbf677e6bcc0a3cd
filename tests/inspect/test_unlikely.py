"""How many bits draws cost, and which calls cost far more than their run's others: each limit on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dia2.inspect.trace.unlikely import bits_of_codes, least_likely, surprise_of, unlikely

NAMES = ["action", "cb0", "dep.1"]


class Drawn:
    """What of a trace is asked: [calls, D] chances of its draws, in two shards of which the second may have none."""

    def __init__(self, chances: Any, given: int = 0, kept: int | None = None, names: list[str] = NAMES) -> None:
        self.chances, self.given_calls = np.asarray(chances, float), given
        self.kept = len(self) if kept is None else kept  # calls whose chances the trace has
        self.manifest = SimpleNamespace(draws=names)

    def __len__(self) -> int:
        return len(self.chances)

    def draw_parts(self, script: int) -> Iterator[tuple[dict[str, np.ndarray], range]]:
        assert script == 0
        if self.kept:
            yield {"draw.probability": self.chances[: self.kept]}, range(self.kept)
        if self.kept < len(self):
            yield {}, range(len(self) - self.kept)


def drawn(bits: Any, **more: Any) -> Any:
    """A run whose codes, two a call, cost so many bits; its actions cost much more."""
    own = np.asarray(bits, float)
    return cast("Any", Drawn(2.0 ** -np.stack([np.full(len(own), 15.0), own - 0.5, own + 0.5], axis=1), **more))


def test_bits_are_minus_log2_of_the_chance_and_20_of_none() -> None:
    bits, names = surprise_of(cast("Any", Drawn([[0.5, 1.0, 0.25], [0.125, 0.0, 1.0]])))
    assert names == NAMES
    assert bits.tolist() == [[1, 0, 2], [3, 20, 0]]


def test_calls_that_were_given_or_kept_no_chances_cost_nothing_that_is_known() -> None:
    bits, _ = surprise_of(drawn([2] * 4, given=1, kept=3))
    assert np.isnan(bits).all(axis=1).tolist() == [True, False, False, True]
    found = bits_of_codes(drawn([2, 2, 3, 2], given=1, kept=3), 0)
    assert found[1:3].tolist() == pytest.approx([2, 3]), "the mean of the codes, not of the action"
    assert np.isnan(found[[0, 3]]).all()


def test_a_run_whose_actions_alone_are_kept_has_no_bits() -> None:
    run = cast("Any", Drawn([[0.5]] * 3, names=["action"]))
    assert surprise_of(run)[0].tolist() == [[1.0]] * 3
    assert np.isnan(bits_of_codes(run, 0)).all()
    assert least_likely(run) is None
    none = cast("Any", Drawn(np.zeros((3, 0)), names=[]))
    assert surprise_of(none)[0].shape == (3, 0)
    assert np.isnan(bits_of_codes(none, 0)).all()


def test_the_least_likely_call_is_the_one_to_look_at() -> None:
    assert least_likely(drawn([9, 2, 3, 7, 2], given=1)) == 3
    assert least_likely(drawn([])) is None


def high(bits: float, length: int, calls: int = 60, spread: float = 0.1) -> np.ndarray:
    """A run around 2 bits, and from call 30 on so many calls of more; the windows' own spread is known below."""
    usual = 2 + spread * np.where(np.arange(calls) // 8 % 2, 1, -1)
    usual[30 : 30 + length] = bits
    return usual


def test_a_stretch_is_told_from_its_first_high_call_to_its_last() -> None:
    (found,) = unlikely(drawn(high(6, 10)))
    assert (found.call, found.until) == (30, 39)
    assert found.text == "The codes of calls 30 … 39 were unlikely: 6.0 bits each, where 2.0 are usual."
    gap = high(6, 10)
    gap[34] = 2
    (found,) = unlikely(drawn(gap))
    assert (found.call, found.until) == (30, 39), "a likely call between them is one of them"


@pytest.mark.parametrize(("extra", "told"), [(0.99, 0), (1.01, 1)])
def test_a_window_of_eight_calls_has_to_lie_a_bit_above(extra: float, told: int) -> None:
    flat = np.full(60, 2.0)
    flat[30:38] += extra
    assert len(list(unlikely(drawn(flat)))) == told
    flat[30:38] = 2
    flat[33] += 8 * extra  # one call alone lifts its windows as much
    assert len(list(unlikely(drawn(flat)))) == told


@pytest.mark.parametrize(("times", "told"), [(5.9, 0), (6.1, 1)])
def test_it_has_to_stand_out_by_six_times_the_usual_distance(times: float, told: int) -> None:
    """Every eight calls go on in steps, so that a window's mean lies half a step beside the median in the middle."""
    flat = np.full(400, 2.0)
    flat[:200] += 0.5
    flat[200:] -= 0.5  # of windows: a half at 2.5, a half at 1.5, so the median distance from it is a half
    flat[100:108] = 2.0 + 0.5 * times
    means = np.convolve(flat, np.ones(8) / 8, "valid")
    level = float(np.median(means))
    spread = float(np.median(np.abs(means - level)))
    flat[100:108] = level + spread * times
    assert spread > 0.2, "more than the bit that it takes at least"
    assert len(list(unlikely(drawn(flat)))) == told


@pytest.mark.parametrize(("calls", "told"), [(39, 0), (40, 1)])
def test_forty_calls_are_the_fewest_that_have_a_spread(calls: int, told: int) -> None:
    assert len(list(unlikely(drawn(high(6, 8, calls))))) == told
    given = np.concatenate([np.full(5, 9.0), high(6, 8, calls)])
    assert [one.call for one in unlikely(drawn(given, given=5))] == [35] * told, "counted in calls of the trace"
