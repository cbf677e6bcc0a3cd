"""Words beside their sound by their spelling: letters, moments of sound, and shifts of a made recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.adapter.drift import fits
from dia2.adapter.ear.shifts import shifts_of
from dia2.adapter.spelling.letters import KINDS, expected, sounds_of
from dia2.adapter.spelling.path import SpeltPath, spelt_path
from dia2.adapter.spelling.sounds import classes_of
from dia2.adapter.view_fit import fit_of
from dia2.inspect import load

from ..support.seeded_clones import clone, shifted, spoken

RATE, FRAME_RATE = 16_000, 12.5
TEXTS = ("see", "man", "this", "love", "choose", "nine", "fish", "moon", "his", "near", "cash", "room", "is", "late")


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("sea", ["hiss", "voiced"]),
        ("Ship!", ["hiss", "voiced", "stop"]),
        ("nation", ["nasal", "voiced", "hiss", "voiced", "nasal"]),
        ("city", ["hiss", "voiced", "stop", "voiced"]),
        ("über", ["voiced", "stop", "voiced", "voiced"]),
        ("home", ["breath", "voiced", "nasal"]),
        ("the", ["breath", "voiced"]),
        ("night", ["nasal", "voiced", "stop"]),
        ("bottle", ["stop", "voiced", "stop", "voiced"]),
        ("9", ["any"]),
        ("東", ["any"]),
        ("…", ["any"]),
    ],
)
def test_the_sounds_of_a_word(word: str, kinds: list[str]) -> None:
    assert [KINDS[kind] for kind, _ in sounds_of(word)] == kinds


def test_what_words_let_expect() -> None:
    shares = expected(["sea", "no"], np.array([[20.0, 40.0], [60.0, 80.0]]), 100, 50.0)
    assert shares.sum(axis=0) == pytest.approx(1)
    assert [KINDS[kind] for kind in shares[:, [5, 23, 35, 50, 63, 75, 95]].argmax(axis=0)] == [
        *("pause", "hiss", "voiced", "pause", "nasal", "voiced", "pause"),
    ]
    outside = expected(["sea", "no"], np.array([[-50.0, -20.0], [200.0, 230.0]]), 100, 50.0)
    assert outside[0] == pytest.approx(1)


def tone(hertz: float, seconds: float, level: float) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def hiss(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return level * np.diff(noise, prepend=0.0)


def test_moments_of_sound_are_told_apart() -> None:
    parts = [np.zeros(8000), tone(300, 0.5, 0.3), tone(1500, 0.5, 0.3), hiss(0.5, 0.1), tone(300, 0.5, 0.04)]
    classes = classes_of(np.concatenate([*parts, np.zeros(8000)]), RATE, 0.02, 160)
    assert [classes[at] for at in (12, 37, 62, 112, 137, 155)] == [0, 7, 8, 1, 0, 0]
    assert classes[87] in (6, 9), "it hisses"
    assert len(classes) == 160


def recording() -> tuple[np.ndarray, np.ndarray]:
    """Each word of `TEXTS` as its letters sound, and when."""
    made = {"hiss": hiss(0.09, 0.05), "breath": hiss(0.07, 0.01), "stop": np.zeros(round(0.06 * RATE))}
    made |= {"nasal": tone(250, 0.08, 0.1), "voiced": tone(300, 0.13, 0.3) + tone(1500, 0.13, 0.2)}
    pieces, times, at = [np.zeros(RATE // 2)], [], 0.5
    for text in TEXTS:
        sounds = [made[KINDS[kind]] for kind, _ in sounds_of(text)]
        length = sum(map(len, sounds)) / RATE
        times.append((at, at + length))
        pieces += [*sounds, np.zeros(round(0.05 * RATE))]
        at += length + 0.05
    samples = np.concatenate([*pieces, np.zeros(RATE // 2)])
    return samples + np.random.default_rng(1).standard_normal(len(samples)) * 1e-4, np.array(times)


def told(times: np.ndarray, texts: tuple[str, ...] = TEXTS) -> list[tuple[float, int, int]]:
    samples, _ = recording()
    frames = -(-len(samples) * 25 // (2 * RATE))
    path = spelt_path(samples, RATE, FRAME_RATE, frames, texts, times)
    found = [] if path is None else shifts_of(path, 1, 0, FRAME_RATE)
    return [(round(one.seconds, 2), one.first_word, one.last_word) for one in found]


def test_words_at_their_sound_bring_nothing() -> None:
    _, times = recording()
    assert told(times) == []
    assert told(times + 0.12) == [], "less than a frame and a half"


@pytest.mark.parametrize("late", [-0.48, -0.32, 0.32, 0.48, 0.8])
def test_words_that_are_moved_are_told_with_their_shift(late: float) -> None:
    _, times = recording()
    assert told(times + late) == [(late, 0, len(TEXTS) - 1)]


def test_a_shift_from_a_word_on_begins_near_it() -> None:
    _, times = recording()
    times[7:] += 0.4
    ((seconds, first, last),) = told(times)
    assert seconds == 0.4
    assert abs(first - 7) <= 1
    assert last == len(TEXTS) - 1


def test_words_that_are_missing_or_too_few_are_not_shifted() -> None:
    _, times = recording()
    assert told(times[7:], TEXTS[7:]) == []
    assert told(times[:7], TEXTS[:7]) == []
    assert told(times[:2] + 0.5, TEXTS[:2]) == []
    assert told(times[::-1] + 0.5) == [], "times that do not ascend"


def made_path(gain: float) -> SpeltPath:
    """Three words of three frames, which five frames earlier are likelier by so many nats together."""
    late, starts = np.arange(-20, 21), np.array([10.0, 15.0, 20.0])
    nats = np.ones((41, 40))
    for start in starts.astype(int):
        nats[25, start - 5 : start - 2] -= gain / 9
    return SpeltPath(nats, np.ones(40), late, np.stack([starts, starts + 3], axis=1))


@pytest.mark.parametrize(("gain", "told"), [(17.4, []), (17.6, [(0.4, 0, 2)])])
def test_a_shift_has_to_gain_the_more_the_farther_it_is(gain: float, told: list[tuple[float, int, int]]) -> None:
    found = shifts_of(made_path(gain), 1, 0, FRAME_RATE)
    assert [(one.seconds, one.first_word, one.last_word) for one in found] == told
    assert [one.gain_nats for one in found] == pytest.approx([gain] * len(told))


def test_what_sounds_between_words_is_in_none() -> None:
    path = made_path(9.0)
    path.sums[:, 14:] += 100.0  # what the words would cost there, if they were said
    given = np.full(3, path.zero)
    assert path.total(given) == pytest.approx(40)
    assert path.total(given + 5) == pytest.approx(40 - 9)


@pytest.mark.parametrize("number", range(4))
def test_a_voice_whose_last_words_are_missing_is_not_shifted(number: int) -> None:
    """Nor are its other words made to explain what is said there."""
    of = spoken(number)
    for words in (of.words, of.words[: len(of.words) * 2 // 3]):
        times = np.array([(word.start, word.end) for word in words])
        frames = int(np.ceil(of.seconds * FRAME_RATE))
        path = spelt_path(of.samples, of.rate, FRAME_RATE, frames, [word.text for word in words], times)
        assert path is not None
        assert shifts_of(path, 1, 0, FRAME_RATE) == []


def test_the_drift_of_a_clone_is_told_by_its_letters(tmp_path: Path) -> None:
    trace: Any = load(clone(tmp_path, shifted(0.45, spoken(0))))
    (fit,) = fits(trace)
    assert fit.source == "letters"
    assert [one.seconds for one in fit.windows] == pytest.approx([0.45] * len(fit.windows), abs=0.1)
    shown = fit_of(trace)
    assert shown is not None
    assert "so letters tell" in str(shown["recordings"][0])


def test_silence_has_no_shifts() -> None:
    assert spelt_path(np.zeros(RATE), RATE, FRAME_RATE, 13, TEXTS, recording()[1]) is None


def test_times_of_a_damaged_trace_are_borne() -> None:
    times = np.stack([np.linspace(0, 9e4, len(TEXTS)), np.full(len(TEXTS), 1e5)], axis=1)
    told(times)
