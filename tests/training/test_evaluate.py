"""The judge's figures: how they are counted, and that they tell good speech from bad."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2.runtime.assets import nano_folder
from tests.support.whisper_weights import checkpoint
from training import evaluate
from training.corpus import VOICES, Recording, record
from training.dialogue import Dialogue, Turn
from training.evaluate import Figures, dialogues, pitch_by_speaker, scripts
from training.judge import Count, Ear, loudness, pitch, plain, semitones, word_error_rate
from training.phonetic import speakers
from training.voice_judge import VoiceJudge, who_speaks

WHISPER = checkpoint("tiny.en")


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    texts = ("Good morning, how are you today?", "I would like a cup of tea.", "The train leaves at ten.")
    turns = [(Turn(1, (text,)), Turn(2, (other,))) for text, other in zip(texts, texts[::-1], strict=True)]
    return [record(Dialogue(both, (0.0, 0.0))) for both in turns]


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tone with overtones, at 24 kHz."""
    time = np.arange(round(24_000 * seconds)) / 24_000
    sound: np.ndarray[Any, Any] = sum(
        (np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8)), np.zeros(len(time))
    )
    return (0.1 * sound).astype(np.float32)


@pytest.mark.parametrize("hertz", [75.0, 110.0, 200.0, 320.0])
def test_pitch_is_that_of_a_tone_and_not_its_octave(hertz: float) -> None:
    found = pitch(tone(hertz))[5:-5]
    assert (found > 0).all()
    assert np.median(found) == pytest.approx(hertz, rel=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) * 0.1
    assert (pitch(noise) > 0).mean() < 0.1
    assert not pitch(np.zeros(2400, np.float32)).any()


def test_spread_is_in_semitones_about_the_median() -> None:
    hertz = np.array([100.0] * 10 + [0.0] * 5 + [200.0] * 10, np.float32)
    assert semitones(hertz) == pytest.approx(6.0)
    assert np.isnan(semitones(np.zeros(20, np.float32)))


def test_loudness_leaves_pauses_out() -> None:
    sound = np.full(24_000, 0.1, np.float32)
    assert loudness(sound) == pytest.approx(-20, abs=0.01)
    assert loudness(np.concatenate([sound, np.zeros(48_000, np.float32)])) == pytest.approx(-20, abs=0.01)
    assert loudness(np.zeros(4800, np.float32)) == float("-inf")


def test_words_are_compared_as_they_are_said() -> None:
    pytest.importorskip("whisper")
    assert plain("It's TEN o'clock, neighbour!") == plain("it is 10 o'clock neighbor")


def test_an_interval_is_wide_where_scripts_differ() -> None:
    alike = word_error_rate([Count(1, 10)] * 20)
    assert (alike["wer"], alike["from"], alike["to"], alike["words"]) == (0.1, 0.1, 0.1, 200)
    mixed = word_error_rate([Count(0, 10), Count(2, 10)] * 10)
    assert mixed["wer"] == 0.1
    assert mixed["from"] < 0.08 < 0.12 < mixed["to"]


def test_who_speaks_goes_by_the_words() -> None:
    assert who_speaks([0.16, 0.4], [2, 1], 7).tolist() == [0, 0, 2, 2, 2, 1, 1]


def test_voices_are_told_apart_frame_by_frame(recordings: list[Recording]) -> None:
    judge = VoiceJudge(recordings[:2])
    right, frames = judge.right(recordings[2].samples, speakers(recordings[2]))
    assert frames > 15
    assert right / frames > 0.8  # two sentences of each voice taught it
    wrong, _ = judge.right(recordings[2].samples, 3 - speakers(recordings[2]))
    assert wrong == frames - right
    assert judge.voices(np.zeros(1920 * 3, np.float32)).tolist() == [0, 0, 0]


def test_pitch_is_split_by_speaker(recordings: list[Recording]) -> None:
    found = pitch_by_speaker(recordings[0].samples, speakers(recordings[0]))
    medians = [float(np.median(hertz[hertz > 0])) for hertz in found.values()]
    assert medians == pytest.approx([voice.pitch for voice in VOICES.values()], rel=0.15)


def test_figures_add_up(recordings: list[Recording]) -> None:
    judge, figures = VoiceJudge(recordings), Figures()
    for recording, count in zip(recordings, (Count(0, 10), Count(3, 10), Count(0, 10)), strict=True):
        figures.add(recording.samples, speakers(recording), count, judge)
    figures.stopped += [True, True, False]
    found = figures.summary()
    assert found["wer"] == 0.1
    assert found["stopped by themselves"] == pytest.approx(0.6667)
    assert found["frames in the right voice"] > 0.95
    assert 1 < found["pitch spread, voice 1"] < 4
    assert -40 < found["loudness"] < 0


def test_the_scripts_are_the_same_every_time_and_of_the_test_split() -> None:
    assert dialogues(3) == dialogues(5)[:3]
    assert scripts(2).keys() >= {"grammar"}
    assert all(len(of_kind) == 2 for of_kind in scripts(2).values())


@pytest.mark.skipif(WHISPER is None, reason="Whisper tiny.en was not downloaded")
def test_whisper_hears_the_source_and_not_noise(recordings: list[Recording]) -> None:
    ear = Ear(str(WHISPER))
    text = "Good morning, how are you today? The train leaves at ten."
    clean = ear.errors(text, recordings[0].samples)
    assert clean.words == len(plain(text))
    assert clean.errors <= 5
    noise = np.random.default_rng(0).standard_normal(len(recordings[0].samples)).astype(np.float32) * 0.1
    assert ear.errors(text, noise).errors > clean.errors


@pytest.mark.slow
@pytest.mark.skipif(WHISPER is None, reason="Whisper tiny.en was not downloaded")
def test_the_whole_report(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "scripts", lambda count: {"grammar": dialogues(count, (2, 2))})
    path = tmp_path / "report.json"
    command = [
        str(nano_folder()),
        "--whisper",
        str(WHISPER),
        "--output",
        str(path),
        "--scripts",
        "2",
        "--prefixes",
        "1",
    ]
    assert evaluate.main(command) == 0
    found: Mapping[str, Any] = json.loads(path.read_text())
    ways = found["grammar"]
    assert list(ways) == ["source", "codec", "generated"]
    assert ways["generated"]["stopped by themselves"] == 1
    assert ways["generated"]["frames in the right voice"] > 0.9
    assert found["prefixes"]["prefix in voice 1: frames of [S1] that keep it"] > 0.8
    assert "grammar, 2 scripts: word errors of source " in capsys.readouterr().out


def test_wrong_numbers_are_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(tmp_path), "--scripts", "0"]) == 2
    assert capsys.readouterr().err == "error: --scripts must be 1 or more, and --prefixes 0 or more.\n"


def test_silence_and_sound_do_not_mix_up_frames() -> None:
    """A speaker of every frame, also where a sound ends within one."""
    found = pitch_by_speaker(tone(100.0, 0.31), torch.tensor([1, 1, 1]))
    assert len(found[1]) == 24
    assert not len(found[2])
