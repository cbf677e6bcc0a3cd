"""The doctor's findings at their exact boundaries, on traces played by a few arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dia2.adapter.doctor import diagnose
from dia2.adapter.findings.recordings import QUIET as TOO_QUIET
from dia2.adapter.findings.recordings import sound_findings
from dia2.adapter.manifest import SpokenWord
from dia2.adapter.prefix_sound import Shift, covered, find_shift, wordless
from dia2.adapter.prefix_words import PrefixWord
from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.levels import Levels, measure

RATE = 10.0  # frames a second, so that a second is a whole number of them
LOUD, QUIET = 0.1, 0.1 * 10 ** (-40 / 20)  # a pause lies 40 dB below the speech


def words(*times: tuple[float, float]) -> list[PrefixWord]:
    """Words in frames."""
    return [
        PrefixWord(i, f"part{i}", 1, a / RATE, b / RATE, step=0, taken_step=0, taken_call=0, in_warmup=True)
        for i, (a, b) in enumerate(times)
    ]


def sound(frames: int, *loud: tuple[int, int], pause: float = QUIET, level: float = LOUD) -> np.ndarray:
    rms = np.full(frames, pause)
    for first, last in loud:
        rms[first:last] = level
    return rms


def said(rms: np.ndarray, said: Sequence[PrefixWord] = (), clipped: np.ndarray | None = None) -> list[Finding]:
    return list(sound_findings(rms, np.zeros(len(rms)) if clipped is None else clipped, said, 1, RATE))


def kinds(*arguments: Any) -> list[str]:
    return [found.kind for found in said(*arguments)]


def test_a_recording_whose_words_stand_at_their_sound_brings_nothing() -> None:
    assert said(sound(36, (3, 12), (15, 30)), words((3, 7), (7, 12), (15, 22), (22, 30))) == []
    dense = LOUD * 10 ** (-np.tile([0, 3, 14, 1], 10) / 20)  # without any pause
    assert said(dense, words((0, 20), (20, 40))) == []


# --- Levels


def test_silence_is_digital_silence() -> None:
    assert [found.text for found in said(np.zeros(20))] == ["The recording of speaker 1 is silent."]
    assert "silence" not in kinds(np.full(20, 1e-6))


@pytest.mark.parametrize(("level", "quiet"), [(-40.1, True), (-39.9, False)])
def test_quiet_is_told_with_its_level_and_no_word_is_doubted(level: float, quiet: bool) -> None:
    rms = sound(36, (3, 30), level=10 ** (level / 20), pause=1e-5)
    found = said(rms, words((3, 15), (15, 30)))
    message = "The recording of speaker 1 is quiet: its speech has a level of −40 dB."
    assert [(one.kind, one.text) for one in found] == ([("prefix-quiet", message)] if quiet else [])
    assert "louder" in TOO_QUIET.fix


@pytest.mark.parametrize(("tops", "told"), [(4, False), (5, True)])
def test_a_recording_of_five_flat_tops_is_clipped(tops: int, told: bool) -> None:
    clipped = np.zeros(40)
    clipped[[10, 20]] = tops - 1, 1
    found = said(sound(40, (3, 35)), words((3, 20), (20, 35)), clipped)
    message = "The recording of speaker 1 is clipped in 5% of its frames, from 1.00 s on."
    assert [one.text for one in found] == ([message] if told else [])
    assert kinds(sound(40, (3, 35)), words((3, 20), (20, 35)), np.full(40, np.nan)) == []


@pytest.mark.parametrize(("tail", "told"), [(9, False), (10, True)])
def test_a_second_of_silence_at_the_end_is_told(tail: int, told: bool) -> None:
    found = said(sound(30 + tail, (3, 30)), words((3, 15), (15, 30)))
    message = "The recording of speaker 1 ends with 1.0 s of silence."
    assert [one.text for one in found] == ([message] if told else [])


@pytest.mark.parametrize(("snr", "told"), [(14.9, True), (15.1, False), (3.0, True)])
def test_noise_between_the_words_is_told(snr: float, told: bool) -> None:
    rms = sound(40, (3, 32), pause=LOUD * 10 ** (-snr / 20))
    found = said(rms, words((3, 15), (15, 32)))
    level = f"−{20 + snr:.0f} dB"
    message = f"its speech is only {snr:.0f} dB above the noise, which has {level}."
    assert [one.text for one in found] == ([f"The recording of speaker 1 is noisy: {message}"] if told else [])


def test_noise_is_judged_between_words_only() -> None:
    rms = sound(40, (3, 32), pause=LOUD * 10 ** (-10 / 20))
    everywhere = words((2, 15), (15, 38))  # nothing is far from a word, so the quietest moments may be speech
    assert kinds(rms, everywhere) == ["prefix-noise"]
    assert kinds(sound(40, (3, 32), pause=LOUD * 10 ** (-12.1 / 20)), everywhere) == []
    assert kinds(rms) == []  # nor without any
    rms[[36, 37, 38, 39]] = LOUD * 10 ** (-3 / 20)  # what stands there is no steady noise
    rms[:3] = LOUD
    assert "prefix-noise" not in kinds(rms, words((0, 15), (15, 33)))


def test_levels() -> None:
    levels = measure(sound(40, (3, 30)))
    assert levels.speech == pytest.approx(-20)
    assert levels.floor == pytest.approx(-60)
    assert levels.sounding.tolist() == [3 <= i < 30 for i in range(40)]
    assert np.array_equal(levels.hushed, ~levels.sounding)
    assert measure(np.zeros(4)).floor == -100
    assert measure(np.full(9, 0.3)).sounding.all()


@pytest.mark.parametrize(("level", "sounding"), [(-45.9, True), (-46.1, False)])
def test_a_pause_is_26_db_below_the_speech(level: float, sounding: bool) -> None:
    rms = np.concatenate((np.full(30, LOUD), [10 ** (level / 20)], np.full(9, 1e-5)))
    assert measure(rms).sounding[30] == sounding


# --- Words and sound

SPEECH = [(2, 9), (13, 20), (25, 31), (36, 44), (48, 55), (60, 68)]  # with pauses of four frames or five


def test_words_in_frames() -> None:
    times = np.array([[2.0, 3.5], [6.9, 6.9], [9.0, 20.0]])
    assert np.flatnonzero(covered(times, 12)).tolist() == [2, 3, 6, 9, 10, 11]
    assert np.flatnonzero(covered(times, 12, 1)).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert not covered(np.array([[-5.0, -2.0], [30.0, 31.0]]), 12).any()


def test_sound_without_words() -> None:
    levels = measure(sound(40, (0, 12), (20, 30)))
    bare, gaps = wordless(levels, np.array([[4.0, 6.0], [20.0, 24.0]]))
    assert np.flatnonzero(bare).tolist() == [0, 1, 2, 7, 8, 9, 10, 11, 25, 26, 27, 28, 29]
    assert gaps == [(0, 3), (7, 12), (25, 30)]


@pytest.mark.parametrize(("frames", "told"), [(6, False), (7, True)])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_speech_without_words_is_told_where_it_stands(frames: int, told: bool, place: str) -> None:
    """A frame beside a word counts as the word's."""
    extra = frames + (2 if place == "middle" else 1)
    starts = {"start": [extra, extra + 30], "middle": [0, 30 + extra], "end": [0, 30]}[place]
    listed = words(*((start, start + 30) for start in starts))
    found = said(np.concatenate((np.full(60 + extra, LOUD), np.full(5, QUIET))), listed)
    assert [one.kind for one in found] == (["prefix-unlabelled-speech"] if told else [])
    if told:
        times = {"start": "0.00 … 0.70", "middle": "3.10 … 3.80", "end": "6.10 … 6.80"}[place]
        where = "In the middle" if place == "middle" else f"At the {place}"
        message = f"{where} of speaker 1's recording there is speech that is not in the word list: {times} s."
        assert found[0].text == message


def test_words_missing_here_and_there_are_told() -> None:
    spread = [(8 * i, 8 * i + 4) for i in range(10)]  # every second word: of each gap two frames are beside a word
    found = said(np.concatenate((np.full(80, LOUD), np.full(5, QUIET))), words(*spread))
    message = "26% of the speech in speaker 1's recording is not in the word list, here and there."
    assert [one.text for one in found] == [message]
    dense = [(16 * i, 16 * i + 13) for i in range(3)]
    assert kinds(np.concatenate((np.full(48, LOUD), np.full(5, QUIET))), words(*dense)) == []


def test_a_word_without_sound() -> None:
    rms = sound(60, (0, 20), (40, 60))
    messages = [one.text for one in said(rms, words((0, 20), (20, 40), (40, 60)))]
    assert messages == ["There is no sound where “part1” should be (2.00 … 4.00 s)."]
    assert kinds(rms, words((0, 20), (21.5, 21.5), (40, 60))) == []  # two frames beside it there is sound
    assert kinds(rms, words((0, 20), (30, 30), (40, 60))) == ["prefix-words-without-speech"]
    assert kinds(rms, words((0, 19.5), (19.5, 40), (40, 60))) == ["prefix-words-without-speech"], "a shared frame"
    assert kinds(rms, words((0, 19), (19, 40), (40, 60))) == []
    one, two, three = words((0, 20), (20, 40), (40, 60))
    assert kinds(rms, [one, replace(two, text="the"), three]) == [], "transcripts put short words into pauses"


def shifted(first: int, last: int, frames: int) -> list[PrefixWord]:
    moved = [(a + frames, b + frames) if first <= i < last else (a, b) for i, (a, b) in enumerate(SPEECH)]
    return words(*moved)


@pytest.mark.parametrize("frames", [-4, -3, -2, -1, 1, 2, 3, 4, 6])
def test_a_shift_of_three_frames_is_told_with_its_size(frames: int) -> None:
    found = said(sound(76, *SPEECH), shifted(0, 6, frames))
    side = "after" if frames > 0 else "before"
    message = f"The words of speaker 1 seem to stand {abs(frames) / 10:.2f} s {side} their sound."
    assert [one.text for one in found] == ([message] if abs(frames) >= 3 else [])


@pytest.mark.parametrize(
    ("first", "last", "where"),
    [
        (3, 6, "From “part3” (4.00 s) on the"),
        (0, 4, "Up to “part3” (4.00 s) the"),
    ],
)
def test_a_shift_that_begins_or_ends_midway(first: int, last: int, where: str) -> None:
    found = said(sound(76, *SPEECH), shifted(first, last, 4))
    expected = f"{where} words of speaker 1 seem to stand 0.40 s after their sound."
    assert [one.text for one in found] == [expected]


def test_where_a_shift_begins_is_bounded() -> None:
    """In sound without a pause, words that come early fit in one place as well as in another; late ones leave a gap."""
    spoken = [*((6 * i, 6 * i + 6) for i in range(10)), (66, 72), (78, 84), (90, 96)]
    levels = measure(sound(104, (0, 60), (66, 72), (78, 84), (90, 96)))
    for frames, first, earliest in ((-5, 9, 1), (5, 7, 7)):
        moved = [(a + frames, b + frames) if i >= 7 else (a, b) for i, (a, b) in enumerate(spoken)]
        assert find_shift(levels, np.array(moved, float), 3, 15) == Shift(frames, first, 12, earliest)


def test_a_shift_inside() -> None:
    times = [(2 + 12 * i, 9 + 12 * i) for i in range(12)]
    late = [(a + 4, b + 4) if 4 <= i < 8 else (a, b) for i, (a, b) in enumerate(times)]
    (found,) = said(sound(150, *times), words(*late))
    assert found.text.startswith(
        "Between “part4” (5.40 s) and “part7” (9.00 s) the words of speaker 1 seem to stand 0."
    )


def test_the_farthest_shift_that_is_looked_for() -> None:
    far = measure(sound(76, *SPEECH))
    times = np.array(SPEECH, float)
    assert find_shift(far, times + 5, 3, 5) == Shift(5, 0, 5)
    assert find_shift(far, times + 5, 3, 4) != Shift(5, 0, 5)
    assert find_shift(far, times + 5, 5, 5) == Shift(5, 0, 5)
    assert find_shift(far, times + 5, 6, 9) is None  # the best one is too small to tell
    assert Shift(5, 1, 2).applied(times)[:, 0].tolist() == [2, 8, 20, 36, 48, 60]


def test_a_single_word_aside_is_no_shift() -> None:
    times = [*SPEECH]
    times[2] = (30, 35)
    assert "prefix-shift" not in kinds(sound(76, *SPEECH), words(*times))


def test_missing_words_are_no_shift() -> None:
    assert set(kinds(sound(76, *SPEECH), words(*SPEECH[:3]))) == {"prefix-unlabelled-speech"}


def test_two_words_are_too_few_to_judge_a_shift() -> None:
    assert "prefix-shift" not in kinds(sound(30, *SPEECH[:2]), words((6, 13), (17, 24)))


@pytest.mark.slow
def test_a_giant_word_list_is_judged_within_seconds() -> None:
    """A damaged trace may hold anything that is a number."""
    times = np.tile([[0.0, 1e12]], (20_000, 1))
    levels: Levels = measure(np.random.default_rng(0).uniform(0.01, 0.1, 20_000))
    assert find_shift(levels, times, 3, 18) is None


# --- Boundaries of words


def trace(
    *, steps: Sequence[int], consumed: Sequence[int], starts: Sequence[float] = (), frames: int = 20, speaker: int = 1
) -> Dia2Trace:
    """A trace of words that should begin at `steps`, in which the machine took one in each of the calls `consumed`."""
    taken = np.zeros(40, int)
    taken[list(consumed)] = 1
    spoken = [SpokenWord(f"w{i}", start, start + 0.1, speaker) for i, start in enumerate(starts)]
    run = SimpleNamespace(
        spoken=spoken, prefix_words=len(steps), prefix_frames=frames, voice_frames=[frames],
        entries=[SimpleNamespace(text=f"w{i}", speaker=speaker) for i in range(len(steps))],
    )  # fmt: skip
    nan = np.full(frames, np.nan)
    prefix = SimpleNamespace(new_word_steps=np.array(steps), rms=nan, peak=nan, clipped=nan)
    calls = np.concatenate((np.arange(frames), np.arange(frames - 1, 39)))
    return cast(
        "Dia2Trace",
        SimpleNamespace(
            run=run, prefix=prefix, ear=None, letters={}, redacted=[], model=SimpleNamespace(frame_rate=RATE),
            warmup_calls=frames, steps=calls,
            column=lambda name: {"consumed": taken}[name], machine_at=lambda call: SimpleNamespace(pending=[1] * call),
        ),
    )  # fmt: skip


def findings(of: Dia2Trace) -> list[tuple[str, int | None, int | None]]:
    return [(found.kind, found.words[0] if found.words else None, found.call) for found in diagnose(of).findings]


def test_words_taken_where_they_should_be_bring_nothing() -> None:
    assert findings(trace(steps=[0, 5, 19], consumed=[0, 5, 19])) == []


def test_a_word_at_the_end_of_the_prefix() -> None:
    assert findings(trace(steps=[5, 19], consumed=[5, 19])) == []
    assert findings(trace(steps=[5, 20], consumed=[5, 20])) == [("word-unreached", 1, 19), ("word-leaked", 1, 20)]


def test_the_first_call_of_the_main_loop_is_no_warm_up() -> None:
    """Its step is that of the warm-up's last call."""
    assert findings(trace(steps=[5, 19], consumed=[5, 20])) == [("word-swallowed", 1, 19), ("word-leaked", 1, 20)]
    assert diagnose(trace(steps=[5, 19], consumed=[5, 20])).words[1].slip == 0


def test_a_boundary_at_the_very_first_call_is_looked_at() -> None:
    assert findings(trace(steps=[0, 6], consumed=[3, 6]))[0] == ("word-swallowed", 0, 0)
    assert findings(trace(steps=[-1, 6], consumed=[3, 6])) == [("word-slipped", 0, 3)]


@pytest.mark.parametrize(("pending", "words"), [(1, "1 token of “w0” was"), (2, "2 tokens of “w0” were")])
def test_pending_tokens_are_counted(pending: int, words: str) -> None:
    found = diagnose(trace(steps=[0, pending + 1], consumed=[0, 9])).findings[0]
    assert f"{words} still pending." in found.text


def test_a_word_that_is_never_taken() -> None:
    assert findings(trace(steps=[5, 9], consumed=[5])) == [("word-swallowed", 1, 9), ("word-leaked", 1, 39)]


@pytest.mark.parametrize(("late", "told"), [(5, False), (6, True), (9, True)])
def test_half_a_second_pushed_is_told_once(late: int, told: bool) -> None:
    starts = [0.1, 0.4, 0.6, 1.0]
    steps = [3, 6, 8 + late, 12 + late]
    pushed = [
        found
        for found in findings(trace(steps=steps, consumed=steps, starts=starts, frames=30))
        if found[0] == "word-pushed"
    ]
    assert pushed == ([("word-pushed", 2, 8 + late)] if told else [])
