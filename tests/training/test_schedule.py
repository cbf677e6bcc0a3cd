"""The learning rate: up, down, and without a jump where a run is gone on with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.schedule import Schedule


def test_it_rises_and_falls() -> None:
    schedule = Schedule(steps=100, peak=1.0, warmup=10, floor=0.1)
    assert schedule.rate(0) == pytest.approx(0.1, abs=0.01)
    assert schedule.rate(9) > 0.9
    assert schedule.rate(100) == pytest.approx(0.1)


@given(
    st.integers(1, 500),
    st.integers(1, 500),
    st.integers(0, 500),
    st.floats(1e-6, 1),
    st.floats(1e-6, 1),
    st.integers(1, 60),
)
def test_going_on_never_jumps_and_never_rises(
    before: int, steps: int, step: int, peak: float, other: float, warmup: int
) -> None:
    old = Schedule(before, peak, warmup=warmup)
    new = Schedule(steps, other, warmup=7).after(old, step)
    if step < warmup:  # still rising, and it goes on to
        assert new == Schedule(steps, other, warmup=warmup)
        return
    assert new.rate(step) == pytest.approx(old.rate(step) * other / peak)
    rates = [new.rate(at) for at in range(step, steps + 1)]
    assert rates == sorted(rates, reverse=True)
    if steps > step:
        assert rates[-1] <= max(other * 0.0301, old.rate(step) * other / peak)
    again = Schedule(steps + 9, other, warmup=7).after(new, step)
    assert again.rate(step) == pytest.approx(new.rate(step))


def test_more_steps_after_the_end_go_on_at_the_rate_of_the_end() -> None:
    old = Schedule(100, 1.0)
    new = Schedule(400, 1.0).after(old, 100)
    assert [new.rate(at) for at in (100, 250, 400)] == pytest.approx([0.03, 0.03, 0.03])


def test_it_is_kept_as_plain_numbers() -> None:
    schedule = Schedule(10, 0.5).after(Schedule(20, 0.5), 5).after(Schedule(20, 0.5, warmup=2), 7)
    assert Schedule.of(schedule.asdict()) == schedule
