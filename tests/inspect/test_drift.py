"""The drift of a prefix's words out of costs that are made up, so that every number is known; and the mended list."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dia2.adapter.drift import Costs, Fit
from dia2.adapter.findings.shift import Shifted, by_ear
from dia2.adapter.mended import mended, word_list
from dia2.adapter.prefix_words import PrefixWord
from dia2.runtime.words import read_words

from .test_ear_shifts import STARTS, curves

RATE = 12.5
LATE = np.arange(-8, 9, dtype=np.int32)


def word(index: int, start: float | None, end: float | None = None, text: str = "") -> PrefixWord:
    stop = start if end is None else end
    return PrefixWord(index, text or f"w{index}", 1, start, stop, index, index, index, True)


def costs(true: Sequence[int], stands: float = 1.0) -> Costs:
    """Of a recording of 60 frames: those from [20 i, 20 i + 20) fit best if the words come `true[i]` frames late."""
    frames = np.full((len(LATE), 60), 6.0)
    for i, late in enumerate(true):
        frames[LATE.tolist().index(late), 20 * i : 20 * i + 20] = 2.0
    return Costs(LATE, frames, stands, stands)


def fit(true: Sequence[int], *shifts: Shifted, source: Any = "ear", starts: Sequence[float] | None = None) -> Fit:
    """Six words of which two stand in each twenty frames, as they are given."""
    at = [0.4, 1.0, 1.8, 2.5, 3.4, 4.2] if starts is None else starts
    return Fit(1, 0, 60, RATE, [word(i, start) for i, start in enumerate(at)], source, costs(true), shifts)


# Stretches and words


def test_words_that_clearly_stand_where_they_sound_have_no_drift() -> None:
    found = fit([0, 0, 0])
    assert [(one.first, one.last, one.drift) for one in found.stretches] == [(0, 5, 0.0)]
    assert found.drift == [0.0] * 6
    assert {window.seconds for window in found.windows} == {0.0}


def test_a_frame_or_two_are_no_drift() -> None:
    assert fit([2, 2, 2]).drift == [0.0] * 6
    assert fit([3, 3, 3]).drift == [None] * 6, "the findings tell no such shift, so nobody says where they sound"


def test_words_of_which_nothing_stands_out_cannot_be_told() -> None:
    flat = fit([0, 0, 0])
    assert flat.costs is not None
    flat.costs.frames[:] = 3.0
    assert flat.drift == [None] * 6
    assert all(math.isnan(window.seconds) for window in flat.windows)
    (only,) = flat.stretches
    assert only.gain is not None
    assert not only.gain.any()


def test_on_each_side_of_a_break_stands_a_stretch() -> None:
    found = fit([0, 5, 5], Shifted(0.4, 3, 5, 3, 5), starts=[0.4, 1.0, 1.4, 2.1, 3.4, 4.2])
    before, after = found.stretches
    assert (before.first, before.last, before.drift) == (0, 2, 0.0)
    assert (after.first, after.last, after.drift) == (3, 5, 0.4)
    assert (before.begin, before.end, after.begin, after.end) == (0, 21, 21, 60), "from where the fourth word sounds"
    assert after.gain is not None
    assert LATE[after.gain.argmax()] == 5
    assert after.gain.max() == pytest.approx(4.0)
    assert found.drift == [0.0, 0.0, 0.0, 0.4, 0.4, 0.4]


def test_words_that_may_belong_to_either_side_cannot_be_told() -> None:
    found = fit([0, 0, 5], Shifted(0.4, 3, 4, 2, 5))
    assert [(one.first, one.last, one.drift) for one in found.stretches] == [
        (0, 1, 0.0),
        (2, 2, None),
        (3, 4, 0.4),
        (5, 5, None),
    ]
    assert [one.gain is None for one in found.stretches] == [False, True, False, True]
    assert found.stretches[0].end == round((1.8 - 0.4) * RATE), "the third word may sound as early as that"


def test_where_the_ear_bounds_an_end_the_words_before_it_are_unsure() -> None:
    ear = curves(np.repeat([4, 0], [12, 8]))
    ear.nats[:, int(STARTS[12]) : int(STARTS[14])] = 4.0  # as well under one as under another
    (found,) = by_ear(ear, 1, [word(i, start) for i, start in enumerate(ear.starts.tolist())]) or []
    (shift,) = ear.shifts
    assert found.last == shift.last_word
    assert found.latest == shift.ends_between[1] > found.last


def test_early_words_sound_later() -> None:
    before, after = fit([0, 0, -5], Shifted(-0.4, 3, 5, 3, 5)).stretches
    assert before.end == after.begin == round((2.5 + 0.4) * RATE)


def test_by_loudness_a_window_tells_no_more_than_its_words() -> None:
    assert {window.seconds for window in fit([5, 5, 5]).windows} == {0.4}, "the ear's stand alone"
    assert all(math.isnan(window.seconds) for window in fit([5, 5, 5], source="loudness").windows)
    shifted = fit([5, 5, 5], Shifted(0.4, 0, 5, 0, 5), source="loudness")
    assert {window.seconds for window in shifted.windows} == {0.4}
    other = fit([-5, -5, -5], Shifted(0.4, 0, 5, 0, 5), source="loudness")
    assert all(math.isnan(window.seconds) for window in other.windows)


def test_nothing_is_told_without_evidence() -> None:
    found = Fit(1, 0, 60, RATE, [word(0, None), word(1, None)], "nothing", None, [])
    assert found.drift == [None, None]
    assert found.windows == []


# The mended list


def times(rows: list[dict[str, Any]] | None) -> list[tuple[float, float]]:
    assert rows is not None
    assert len(read_words(rows, 5.0)) == len(rows), "it loads"
    return [(row["start"], row["end"]) for row in rows]


def test_words_are_set_where_they_sound() -> None:
    words = [word(0, 0.5, 0.9), word(1, 1.5, 1.9), word(2, 2.5, 2.9)]
    assert times(mended(words, [0.0, 0.4, 0.4], 5.0)) == [(0.5, 0.9), (1.1, 1.5), (2.1, 2.5)]
    assert times(mended(words, [-0.4, -0.4, None], 5.0)) == [(0.9, 1.3), (1.9, 2.3), (2.5, 2.9)]
    beyond = [word(0, 0.5, 0.9), word(1, 5.03, 5.06)]  # as far past the end as the runtime lets words be
    assert times(mended(beyond, [0.4, None], 5.0)) == [(0.1, 0.5), (5.0, 5.0)]


def test_nothing_is_mended_where_nothing_is_told() -> None:
    words = [word(0, 0.5, 0.9), word(1, 1.5, 1.9)]
    assert mended(words, [None, None], 5.0) is None
    assert mended(words, [0.0, None], 5.0) is None
    assert mended([word(0, None), words[1]], [0.4, 0.4], 5.0) is None


@pytest.mark.parametrize(
    ("late", "wanted"),
    [
        ([0.0, 0.4, 0.4], [(0.5, 0.8), (0.8, 1.1), (1.1, 1.6)]),  # the first ends where the second begins
        ([None, 0.8, 0.8], [(0.0, 0.2), (0.4, 0.7), (0.7, 1.2)]),  # the first cannot stand behind it: it moves too
        ([2.0, 2.0, 2.0], [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]),
        ([-4.0, -4.0, -4.0], [(0.5, 1.0), (1.2, 1.5), (1.5, 2.0)]),  # past the recording's end they cannot be
        ([-0.9, 0.0, None], [(0.5, 1.0), (1.2, 1.5), (1.5, 2.0)]),  # it would sound after the second one
    ],
)
def test_a_mended_list_is_one_that_can_be_read(late: list[float | None], wanted: list[tuple[float, float]]) -> None:
    words = [word(0, 0.5, 1.0), word(1, 1.2, 1.5), word(2, 1.5, 2.0)]
    assert times(mended(words, late, 5.0)) == wanted


def test_what_is_copied_is_json_that_is_safe_anywhere() -> None:
    texts = ["Grüße", 'a"b\\', "\x1b[31m\u202ed", "<b>"]
    rows = [{"text": text, "start": float(i), "end": i + 0.5} for i, text in enumerate(texts)]
    copied_text = word_list(rows)
    assert json.loads(copied_text) == rows
    assert copied_text.replace("\n", "").isprintable()
    assert "Grüße" in copied_text
    assert len(copied_text.splitlines()) == len(rows) + 2
