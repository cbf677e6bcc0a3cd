"""Labels are those of the frame that a call draws, by the trace's columns and its sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.analysis import labels as labelling
from dia2.analysis import labels_of
from dia2.common.errors import UsageError
from dia2.inspect import sample

from ..support.reference import Case, engine
from .runs import runs


def test_words_sound_from_two_frames_before_their_step() -> None:
    trace = sample()
    found, delay = labels_of(trace), trace.model.delays[0]
    taken = [word for word in trace.words if word.step is not None]
    for word, said in zip(taken, found.words, strict=False):
        frames = trace.steps + 1 - delay
        assert found.words[int(found.word[said.first])] == said
        assert word.step is not None
        assert int(frames[said.first]) == max(word.step - 2, 0)
        assert (said.text, said.speaker) == (word.text, word.speaker)
        inside = slice(said.first, said.last + 1)
        assert set(found.word[inside]) == {found.words.index(said)}
        assert set(found.speaker[inside]) == {said.speaker}
    assert len(found.words) == len(taken)
    starts = np.flatnonzero(found.position == 0)
    assert starts.tolist() == [word.first for word in found.words]
    assert (np.diff(found.position)[found.position[1:] > 0] == 1).all()
    assert found.word[-1] == -1, "after the last word nothing sounds"


def test_the_sound_is_that_of_the_drawn_frame() -> None:
    trace = sample()
    found, (sound, rate) = labels_of(trace), trace.audio or pytest.fail("the sample has a sound")
    step = round(rate / trace.model.frame_rate)
    known = np.flatnonzero(found.known("loudness"))
    assert len(known) == len(sound) // step
    for call in known:
        frame = int(trace.steps[call]) + 1 - trace.model.delays[0] - trace.crop
        level = 10 * np.log10((sound[frame * step : (frame + 1) * step].astype(np.float64) ** 2).mean() + 1e-12)
        assert found.loudness[call] == pytest.approx(level)
    assert {0, 1} == set(found.silent[known])
    assert found.loudness[found.silent == 1].max() < found.loudness[found.silent == 0].min()
    assert (found.voiced[found.silent != 0] == -1).all()
    assert np.array_equal(np.isfinite(found.pitch), found.voiced == 1)
    assert np.isin(found.voiced[found.silent == 0], (0, 1)).all()


@pytest.mark.parametrize("pitch", [75, 100, 200, 320, None])
def test_what_repeats_at_a_pitch_is_voiced(pitch: int | None) -> None:
    time = np.arange(4 * 1920) / 24000
    noise = np.random.default_rng(3).normal(size=len(time))
    sound = 0.05 * noise if pitch is None else sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 6))
    found = labelling._pitches(np.asarray(sound).reshape(4, 1920), 24000)
    assert np.isnan(found).all() if pitch is None else found == pytest.approx([pitch] * 4, rel=0.02)


def test_a_trace_without_sound_is_heard_by_its_engine() -> None:
    trace = runs()[0]
    silent = Dia2Trace.load(trace.path)
    silent.__dict__["audio"] = None  # as of a stream
    assert not labels_of(silent).known("silent").any()
    heard, recorded = labels_of(silent, engine("tiny4")), labels_of(trace)
    np.testing.assert_allclose(heard.loudness, recorded.loudness, atol=0.1)  # recorded with 16 bits


def test_warm_up_has_no_labels(tmp_path: Path) -> None:
    case = Case("tiny3", "prefix2")
    engine("tiny3").generate("[S1] Hi you. [S2] No.", case.config(seed=1), trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    found = labels_of(trace, given={"phoneme": np.array(["a"] * len(trace))})
    for name in ("speaker", "word", "position", "silent", "voiced", "loudness", "pitch"):
        assert not found.known(name)[: trace.warmup_calls].any()
    assert found.known("speaker").any()
    assert set(found.word[found.word >= 0]) == set(range(len(found.words)))


def test_given_labels() -> None:
    trace = runs()[0]
    phonemes = np.array(["", *["a"] * (len(trace) - 1)])
    found = labels_of(trace, given={"phoneme": phonemes, "height": np.arange(len(trace)) - 1.0})
    assert found.known("phoneme").tolist() == [False, *[True] * (len(trace) - 1)]
    assert found["height"][3] == 2.0
    with pytest.raises(UsageError, match=r"no labels 'colour', only speaker, .*phoneme"):
        found["colour"]
    wrong: Any = {"phoneme": phonemes[1:]}
    with pytest.raises(UsageError, match="'phoneme' are of shape"):
        labels_of(trace, given=wrong)
    assert replace(found, given={}).given == {}
