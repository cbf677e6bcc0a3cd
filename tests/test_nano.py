"""The embedded checkpoint speaks. Its full figures are in its own README.md; these are quick checks."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dia2 import Dia2
from dia2.adapter.checkpoint import fingerprint
from dia2.generation import GenerationResult
from dia2.inspect import Dia2Trace, sample
from dia2.runtime.assets import nano_folder
from training.codec import mean_stoi
from training.corpus import Recording
from training.dialogue import GRAMMAR, Dialogue, Turn, draw_dialogue, load_grammar
from training.evaluate import action_figures
from training.language_model import Batch, LanguageTraining, Learning
from training.robots import PULSES, record
from training.streams import Language, Utterance, plain_stream

SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?"


@pytest.fixture(scope="module")
def tts() -> Dia2:
    return Dia2.nano(device="cpu")


@pytest.fixture(scope="module")
def unseen() -> list[Recording]:
    """Sentences that training never saw, of both voices in turn."""
    rng, grammar = random.Random(5), load_grammar(GRAMMAR)
    texts = [draw_dialogue(grammar, rng, "test", (1, 1)).turns[0].sentences[0] for _ in range(8)]
    return [record(Dialogue((Turn(1 + i % 2, (text,)),), (0.0,)), PULSES) for i, text in enumerate(texts)]


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in nano_folder().rglob("*") if path.is_file())
    assert size <= 16e6
    model = Dia2.nano(device="cpu").runtime.model
    assert sum(parameter.numel() for parameter in model.parameters()) <= 6_000_000


@pytest.mark.slow
def test_its_codec_gives_unseen_speech_back(tts: Dia2, unseen: list[Recording]) -> None:
    codec = tts.runtime.mimi
    back = [codec.decode(codec.encode(torch.from_numpy(r.samples))) for r in unseen[:4]]
    found = mean_stoi(back, unseen[:4])
    assert found >= 0.87  # the mean over fifty sentences stands in the model card


def test_the_sample_is_a_run_of_these_weights(tts: Dia2) -> None:
    """Else record it anew: python -m training.sample."""
    trace = sample()
    assert trace.complete
    assert trace.run.hashes == fingerprint(tts.runtime.assets)
    calls = range(20, 30)
    replayed = trace.replay(tts, calls)
    recorded = [next(draw for draw in trace.draws(call) if draw.name == "cb0") for call in calls]
    for row, draw in enumerate(recorded):
        for candidate in draw.candidates:
            assert abs(float(replayed.cb0[row, 0, candidate.token]) - candidate.cond) < 1e-3
    texts = "".join((trace.path / name).read_text() for name in ("manifest.json", "phases.jsonl"))
    assert str(nano_folder().parent) not in texts  # nobody needs to know whose machine it was


@pytest.mark.slow
def test_it_says_what_the_text_says(tts: Dia2, unseen: list[Recording]) -> None:
    """With its text the model expects the sound of unseen sentences; without, or with another's, it does not."""
    runtime = tts.runtime
    language = Language(runtime.config, runtime.encode, runtime.constants)
    said = [Utterance(r.spoken, r.end, runtime.mimi.encode(torch.from_numpy(r.samples))) for r in unseen]
    training = LanguageTraining(runtime.model, Learning()).eval()

    def surprise(streams: list[Utterance]) -> float:
        batch = Batch.of([plain_stream(language, u) for u in streams], runtime.config)
        with torch.no_grad():
            return float(training.losses(batch, torch.Generator())["cb0"])

    right = surprise(said)
    others = [Utterance(a.spoken, a.end, b.codes) for a, b in zip(said, [*said[2:], *said[:2]], strict=True)]
    assert surprise(others) > right + 1.0  # nats a frame


def test_it_stops_by_itself_and_its_actions_are_its_own(tts: Dia2, tmp_path: Path) -> None:
    result = tts.generate(SCRIPT, seed=1, trace=tmp_path / "run.dia2trace")
    assert result.stop_reason == "end"
    assert 3.5 < result.duration < 8.5
    words = [word for word, _ in result.timestamps]
    assert words == SCRIPT.replace("[S1] ", "").replace("[S2] ", "").split()
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    accepted, _, _ = action_figures(trace)
    assert np.mean(accepted) > 0.9


def odd_harmonics(result: GenerationResult) -> float:
    """Energy at harmonics that only the first voice has, of 8 pulses a frame, against those of the second, of 16."""
    sound = result.waveform.numpy()
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / result.sample_rate)
    odd, even = (
        sum(spectrum[np.abs(frequencies - (first + at)) < 6].sum() for at in (0, 200, 400)) for first in (100, 200)
    )
    return float(odd / even)


def test_the_two_speakers_sound_different(tts: Dia2) -> None:
    first, second = (
        odd_harmonics(tts.generate(f"[{tag}] I am in the garden, and you are in the house.", seed=2))
        for tag in ("S1", "S2")
    )
    assert first > 5 * second


@pytest.mark.slow
def test_the_voice_goes_with_the_prefix(tts: Dia2, unseen: list[Recording], tmp_path: Path) -> None:
    """Whoever speaks in a prefix is [S1] after it, in the second voice too."""
    heard = []
    for said in unseen[:2]:  # in the first voice, in the second
        soundfile.write(tmp_path / "prefix.wav", said.samples[: int(said.end * tts.sample_rate)], tts.sample_rate)
        words = [{"text": s.text, "start": s.start, "end": s.end} for s in said.spoken]
        for tag in ("S1", "S2"):
            script = f"[{tag}] I am in the garden, and you are in the house."
            result = tts.generate(script, seed=2, prefix_speaker_1=tmp_path / "prefix.wav", prefix_words_1=words)
            heard.append(odd_harmonics(result))
    assert min(heard[0], heard[3]) > 5 * max(heard[1], heard[2])
