"""How loud sound is: where it sounds and where it pauses, each limit on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from dia2.inspect.trace.levels import Levels, measure, pauses, rms_of


def levels(*decibels: tuple[float, int]) -> Levels:
    """Of frames at a level, so many of each."""
    every = np.concatenate([np.full(count, level) for level, count in decibels])
    return measure(10 ** (every / 20))


def test_frames_are_whole_and_the_rest_is_left_out() -> None:
    samples = np.array([3.0, -4, 0, 0, 1, 1, 9])
    assert rms_of(samples, 8, 4).tolist() == pytest.approx([12.5**0.5, 0, 1])
    assert rms_of(samples, 5, 2).tolist() == rms_of(samples, 8, 4).tolist()
    assert rms_of(samples, 1, 3).tolist() == np.abs(samples).tolist(), "a frame has one sample at least"


def test_speech_is_the_loud_of_what_is_less_than_30_db_below_the_loudest() -> None:
    assert levels((0, 2), (-29.5, 8)).speech == pytest.approx(-23.6)
    assert levels((0, 2), (-30.5, 8)).speech == pytest.approx(0)


def test_the_floor_is_the_twentieth_part_and_silence_has_a_level() -> None:
    assert levels(*((-i, 1) for i in range(21))).floor == pytest.approx(-19)
    silent = measure(np.array([1.0, 0.0, 1e-7]))
    assert silent.decibels.tolist() == [0, -100, -100]


@pytest.mark.parametrize(("level", "sounds", "hushed"), [
    (-45.5, True, False), (-46.5, False, False), (-64.5, False, False), (-65.5, False, True),
])  # fmt: skip
def test_over_silence_a_pause_is_26_db_below_the_speech_and_beyond_doubt_at_45(
    level: float, sounds: bool, hushed: bool
) -> None:
    found = levels((-20, 40), (level, 1), (-100, 20))
    assert (found.speech, found.floor) == pytest.approx((-20, -100))
    assert (found.sounding[40], found.hushed[40]) == (sounds, hushed)
    assert found.sounding[:40].all()
    assert found.hushed[41:].all()


@pytest.mark.parametrize(("level", "sounds", "hushed"), [
    (-33.5, True, False), (-34.5, False, False), (-38.5, False, False), (-39.5, False, True),
])  # fmt: skip
def test_over_noise_they_are_at_shares_of_the_way_up(level: float, sounds: bool, hushed: bool) -> None:
    """From the noise at −44 dB to the speech at −19 dB."""
    found = levels((-19, 40), (level, 1), (-44, 20))
    assert (found.sounding[40], found.hushed[40]) == (sounds, hushed)


def test_a_level_without_ups_and_downs_has_no_pause() -> None:
    assert levels((-20, 30)).sounding.all()
    found = levels((-20, 90), (-20.95, 1), (-21.5, 9))
    assert found.sounding.tolist() == [True] * 91 + [False] * 9
    assert not found.hushed[:91].any()


def test_pauses_take_a_second_and_the_last_is_the_end() -> None:
    sounding = np.array([*"1000000000010000000001000000000011000000000000"]) == "1"
    found = Levels(np.zeros(46), 0.0, 0.0, sounding, ~sounding)
    assert pauses(found, 10.0) == [(1, 11), (22, 32)]
    assert pauses(found, 10.0, last=True) == [(1, 11), (22, 32), (34, 46)]
    assert pauses(found, 12.5) == []
    assert pauses(found, 12.0, last=True) == [(34, 46)]
    assert pauses(found, 9.0) == [(1, 11), (12, 21), (22, 32)]
