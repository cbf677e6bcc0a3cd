"""The corpus: dialogues spoken by flite's voices, with times, in shards that are a function of their plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from training.corpus import (
    FRAME_RATE,
    CorpusPlan,
    Recording,
    make_corpus,
    read_shard,
    record,
    recordings,
    rises,
    shards,
)
from training.dialogue import Dialogue, Turn
from training.spoken import Spoken
from training.vocoder import FRAME, SAMPLE_RATE, SHAPE, STEPS, UNIT, sound_of

from ..support.speech import has_flite, has_texts

needs_flite = pytest.mark.skipif(not has_flite(), reason="flite is not installed")
TALK = Dialogue(
    (Turn(1, ("Hello there.", "I am on the road, and you?")), Turn(2, ("Not too bad, thank you.",))), (0.4, 0.0)
)


@needs_flite
def test_every_entry_of_a_dialogue_has_its_time() -> None:
    recording = record(TALK)
    said = ["Hello there. I am on the road, and you?", "Not too bad, thank you."]
    assert [entry.text for entry in recording.spoken] == [*said[0].split(), "", *said[1].split()]
    assert [entry.speaker for entry in recording.spoken] == [1] * 9 + [0] + [2] * 5
    for entry, following in pairwise(recording.spoken):
        assert entry.start < entry.end <= following.start + 1e-6
    pause = recording.spoken[9]
    assert round((pause.end - pause.start) * FRAME_RATE) == 5
    assert recording.spoken[-1].end <= recording.end - 2 / FRAME_RATE + 1e-6
    assert len(recording.samples) % FRAME == 0
    assert np.abs(recording.samples).max() <= 1


@needs_flite
def test_every_frame_has_its_pulses_and_its_spectrum() -> None:
    recording = record(TALK)
    frames = len(recording.samples) // FRAME
    assert recording.pulses.shape == (frames,)
    assert recording.shapes.shape == (frames, STEPS, SHAPE)
    loud = np.abs(recording.samples).reshape(frames, FRAME).max(1) > 0.05
    second = np.arange(frames) >= recording.spoken[10].start * FRAME_RATE - 1e-6
    assert (recording.pulses[loud & ~second] > 0).all()
    assert (recording.pulses[loud & second] < 0).all()
    assert not recording.shapes[recording.pulses == 0].any()
    again = sound_of(recording.shapes.astype(np.float32), [max(1, abs(int(p))) for p in recording.pulses])
    error = np.square(again - recording.samples).mean() / np.square(recording.samples).mean()
    assert 10 * np.log10(error) < -20  # steps of 10 ms keep it nearly


@needs_flite
def test_sentences_begin_with_a_frame_and_phonemes_with_half_ones() -> None:
    recording = record(TALK)
    units = np.array([start * SAMPLE_RATE / UNIT for _, start in recording.phonemes])
    assert np.allclose(units, units.round(), atol=1e-6)
    assert (np.diff(units.round()) >= 1).all()
    for first in (0, 2, 10):
        at = recording.spoken[first].start * FRAME_RATE
        assert at == pytest.approx(round(at))
    names = [name for name, _ in recording.phonemes]
    assert names[:4] == ["hh", "ax", "l", "ow"]
    assert names.count("pau") == 3 + 2  # after each sentence, and at the commas
    starts = {round(start * SAMPLE_RATE) for name, start in recording.phonemes if name != "pau"}
    assert {round(entry.start * SAMPLE_RATE) for entry in recording.spoken if entry.text} <= starts


@needs_flite
def test_pauses_are_silent_and_words_are_not() -> None:
    recording = record(TALK)

    def level(start: float, end: float) -> float:
        part = recording.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        return float(np.sqrt((part**2).mean()))

    pause = recording.spoken[9]
    assert level(pause.start, pause.end) == 0
    words = [level(entry.start, entry.end) for entry in recording.spoken if entry.text]
    assert min(words) > 0.02
    both = [np.mean(words[:9]), np.mean(words[9:])]
    assert 0.6 < both[0] / both[1] < 1.7  # neither voice is the louder one by far


@needs_flite
def test_a_recording_is_a_function_of_its_dialogue() -> None:
    first = record(TALK)
    record(Dialogue((Turn(2, ("Something else.",)),), (0.0,)))
    again = record(TALK)
    for part in fields(first):
        assert np.array_equal(getattr(first, part.name), getattr(again, part.name)), part.name
    monotone = record(TALK, {1: (8,), 2: (14,)})
    assert monotone.phonemes == first.phonemes
    assert not np.array_equal(monotone.samples, first.samples)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Are you there?", True),
        ("You are?", True),
        ("Did you ask what happened?", True),  # the clause asks, not the sentence
        ("Where are you?", False),
        ("And who's that?", False),
        ("Excuse me, what time is it?", False),
        ("Hello. Is it you?", True),
        ("Tea or coffee?", False),
        ("At what time?", False),
        ("Somewhere?", True),
        ("You are.", False),
    ],
)
def test_pitch_rises_in_questions_for_yes_or_no(sentence: str, expected: bool) -> None:
    assert rises(sentence) == expected


def made_up(plan: CorpusPlan, number: int) -> Iterator[Recording]:
    """Recordings without flite."""
    for i in range(plan.dialogues):
        samples = np.full(FRAME, (number + 1) * (i + 1) / 100, np.float32)
        pulses, shapes = np.array([number + i], np.int16), np.full((1, STEPS, SHAPE), i, np.float16)
        spoken, phonemes = (Spoken("hi", 1, 0.0, 0.04),), (("hh", 0.0),)
        yield Recording(f"[S1] {number} {i}", spoken, 0.08, phonemes, samples, pulses, shapes)


def test_shards_are_written_once_and_read_back(tmp_path: Path) -> None:
    plan = CorpusPlan(3, "validation", 1, dialogues=2)
    assert [path.name for path in make_corpus(tmp_path, plan, maker=made_up)] == ["validation-0000.safetensors"]
    assert list(make_corpus(tmp_path, plan, maker=made_up)) == []
    found = read_shard(shards(tmp_path, "validation")[0])
    for one, other in zip(found, made_up(plan, 0), strict=True):
        for part in fields(one):
            found, made = getattr(one, part.name), getattr(other, part.name)
            assert np.allclose(found, made, atol=1e-4) if part.name == "samples" else np.array_equal(found, made)
    assert shards(tmp_path, "train") == []


@pytest.mark.slow
@pytest.mark.skipif(not (has_flite() and has_texts()), reason="flite, WordNet or wamerican-small is not installed")
def test_the_same_plan_makes_the_same_bytes_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plan = CorpusPlan(seed=3, split="validation", shards=2, dialogues=3)
    one, other = tmp_path / "one", tmp_path / "other"
    assert len(list(make_corpus(one, plan))) == 2
    assert len(list(make_corpus(other, replace(plan, shards=1)))) == 1
    assert len(list(make_corpus(other, plan))) == 1  # goes on from there
    assert [p.read_bytes() for p in shards(one, "validation")] == [p.read_bytes() for p in shards(other, "validation")]
    first = [r.script for r in read_shard(shards(one, "validation")[0])]
    assert first == [r.script for r in recordings(plan, 0)]
    assert first != [r.script for r in recordings(plan, 1)]
