"""Shifts of words out of curves that are made up, so that every number is known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dia2.adapter.ear.curves import EarCurves
from dia2.adapter.ear.shifts import WordPath

LATE = np.arange(-6, 7, dtype=np.int32)
RATE = 12.5
STARTS = 4 + np.arange(20) * 4.5  # frames, as the words really sound


def curves(
    true: np.ndarray, *, right: float = 3.0, wrong: float = 8.0, noise: float = 0.0, frames: int = 100
) -> EarCurves:
    """A recording whose words come `true` [words] frames late, heard clearly."""
    nats = np.full((len(LATE), frames), wrong, np.float32)
    ends = [*STARTS[1:], frames]
    for late, begin, end in zip(true, [0, *STARTS[1:]], ends, strict=True):
        nats[list(LATE).index(late), int(begin) : int(end)] = right
    nats += np.random.default_rng(1).normal(0, noise, nats.shape).astype(np.float32)
    nats[:, -5:] = np.nan
    return EarCurves(
        LATE,
        nats,
        nats[len(LATE) // 2],
        (STARTS + true) / RATE,
        np.ones(len(true), np.int64),
        (frames,),
        RATE,
        256,
    )


def test_words_where_they_sound_have_no_shift() -> None:
    found = curves(np.zeros(20, int))
    assert found.shifts == []
    assert found.deaf == []
    assert {window.seconds for window in found.windows} == {0.0}
    assert all(window.gain == 0 for window in found.windows)


def test_all_words_late() -> None:
    found = curves(np.full(20, 5))
    (shift,) = found.shifts
    assert (shift.speaker, shift.seconds, shift.first_word, shift.last_word) == (1, 0.4, 0, 19)
    assert shift.begins_between == (0, 0)
    assert shift.ends_between == (19, 19)
    assert shift.gain_nats == pytest.approx(95 * 5.0)  # five frames are not known
    assert [window.seconds for window in found.windows] == [0.4] * len(found.windows)
    assert found.windows[0].gain == pytest.approx(5.0)


@pytest.mark.parametrize("late", [4, 6])
def test_words_late_from_one_on(late: int) -> None:
    found = curves(np.repeat([0, late], [12, 8]), noise=0.5)
    (shift,) = found.shifts
    assert (shift.seconds, shift.first_word, shift.last_word) == (late / RATE, 12, 19)
    assert shift.begins_between[0] <= 12 <= shift.begins_between[1]
    assert np.ptp(shift.begins_between) <= 2
    assert shift.ends_between == (19, 19)


def test_words_early_up_to_one_and_late_from_another() -> None:
    found = curves(np.repeat([-4, 0, 5], [7, 6, 7]))
    first, second = found.shifts
    assert (first.seconds, first.first_word, first.last_word, first.begins_between) == (-0.32, 0, 6, (0, 0))
    assert first.ends_between[0] <= 6 <= first.ends_between[1]
    assert (second.seconds, second.first_word, second.last_word, second.ends_between) == (0.4, 13, 19, (19, 19))


@pytest.mark.parametrize("late", [1, 2])
def test_a_frame_or_two_are_usual(late: int) -> None:
    assert curves(np.full(20, late)).shifts == []


def test_neighbours_that_hardly_differ_are_one_shift() -> None:
    (shift,) = curves(np.repeat([5, 6], [8, 12])).shifts
    assert (shift.seconds, shift.first_word, shift.last_word) == (0.48, 0, 19)


def test_two_words_are_no_shift() -> None:
    assert curves(np.repeat([0, 4, 0], [9, 2, 9]), wrong=20.0).shifts == []
    assert len(curves(np.repeat([0, 4, 0], [9, 3, 8]), wrong=20.0).shifts) == 1


def test_where_the_sound_cannot_tell_the_beginning_is_a_range() -> None:
    found = curves(np.repeat([0, 4], [12, 8]))
    found.nats[:, int(STARTS[12]) : int(STARTS[14])] = 4.0  # as well under one as under another
    (shift,) = found.shifts
    assert shift.begins_between[0] == 12, "the eleventh word would come before the tenth"
    assert 14 <= shift.begins_between[1] <= 17
    assert shift.ends_between == (19, 19)


def test_a_small_gain_is_none() -> None:
    assert curves(np.repeat([0, 5], [16, 4]), right=4.0, wrong=5.4).shifts == []


@pytest.mark.parametrize(
    ("right", "wrong", "deaf"),
    [
        (5.2, 6.0, False),  # better than a blind guess, of log(256) = 5.55 nats
        (5.3, 6.0, True),
        (8.0, 9.4, True),
        (8.0, 9.6, False),  # surprised, but much less where the words stand right
        (1.0, 1.1, True),  # silence: any words explain it
    ],
)
def test_a_recording_that_the_model_cannot_follow(right: float, wrong: float, deaf: bool) -> None:
    assert math.log(256) / 2 > 1.1
    found = curves(np.full(20, 5), right=right, wrong=wrong)
    assert (found.deaf == [1]) == deaf
    assert bool(found.shifts) == (not deaf)
    assert all(math.isnan(window.seconds) for window in found.windows) == (deaf or wrong - right < 1)


def test_a_window_whose_shifts_are_all_alike_tells_nothing() -> None:
    found = curves(np.zeros(20, int))
    found.nats[:, 50:90] = 2.0
    told = [not math.isnan(window.seconds) for window in found.windows]
    assert told[0]
    assert not all(told)


def test_the_second_recordings_words_and_frames_are_counted_on() -> None:
    clean, late = curves(np.zeros(20, int)), curves(np.repeat([0, 5], [10, 10]))
    both = EarCurves(
        LATE,
        np.concatenate((clean.nats, late.nats), axis=1),
        np.concatenate((clean.given, late.given)),
        np.concatenate((clean.starts, late.starts + 100 / RATE)),
        np.repeat([1, 2], 20),
        (100, 100),
        RATE,
        256,
    )
    (shift,) = both.shifts
    assert (shift.speaker, shift.seconds, shift.first_word, shift.last_word) == (2, 0.4, 30, 39)
    assert shift.begins_between[0] <= 30 <= shift.begins_between[1]
    assert shift.ends_between == (39, 39)
    assert {(window.speaker, window.start // 100) for window in both.windows} == {(1, 0), (2, 1)}


def test_a_single_hypothesis_tells_nothing() -> None:
    one = curves(np.zeros(20, int))
    alone = EarCurves(
        LATE[6:7], one.nats[6:7], one.given, one.starts, one.speakers, one.voice_frames, one.frame_rate, one.codes
    )
    assert alone.shifts == []
    assert alone.deaf == [1]
    assert all(math.isnan(window.seconds) for window in alone.windows)


def test_every_frame_is_counted_once() -> None:
    """The cost of a path is the sum of its frames' own, wherever words begin."""
    rng = np.random.default_rng(3)
    nats = rng.random((len(LATE), 100))
    path = WordPath(nats, LATE, STARTS + 2)
    chosen = np.repeat([6, 8, 7], [5, 8, 7])
    assert path.total(chosen) == pytest.approx(path.each(chosen).sum())
    onsets = np.round(STARTS + 2 - LATE[chosen]).astype(int)
    want = [nats[chosen[max(0, int((onsets <= frame).sum()) - 1)], frame] for frame in range(100)]
    assert path.each(chosen) == pytest.approx(want)


def test_the_best_path_is_the_best_of_all() -> None:
    rng = np.random.default_rng(4)
    late = np.array([-1, 0, 2])
    starts = np.array([1.0, 4.0, 6.0, 11.0])
    path = WordPath(rng.random((3, 16)) * 40, late, starts)
    every = np.array(np.meshgrid(*[range(3)] * 4)).reshape(4, -1).T
    costs = [path.total(chosen) + 20.0 * (np.diff(chosen) != 0).sum() for chosen in every]
    assert path.best().tolist() == every[int(np.argmin(costs))].tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.arange(20)[::-1] / RATE},
        {"starts": np.arange(20) * 50 / RATE},
        {"starts": np.arange(20) * 5 / RATE - 2},
        {"starts": np.zeros(5000), "speakers": np.ones(5000, np.int64)},
        {"speakers": np.repeat([2, 1], 10)},
        {"speakers": np.zeros(20, np.int64)},
        {"voice_frames": (40_000, 7)},
        {"voice_frames": (0, 0)},
        {"starts": np.zeros(0), "speakers": np.zeros(0, np.int64)},
    ],
    ids=str,
)
def test_words_that_no_recording_has_are_not_judged(change: dict[str, Any]) -> None:
    found = replace(curves(np.full(20, 5)), **change)
    assert found.shifts == []
    assert 1 in found.deaf
    assert all(math.isnan(window.seconds) for window in found.windows)


def test_the_smallest_shift_needs_more_evidence() -> None:
    def told(late: int, wrong: float) -> list[float]:
        return [shift.gain_nats for shift in curves(np.repeat([0, late], [14, 6]), right=4.0, wrong=wrong).shifts]

    (gain,) = told(4, 7.5)
    assert 50 < gain < 100
    assert told(3, 7.5) == []
    (gain,) = told(3, 11.0)
    assert gain > 100
