"""The whole recipe at a smoke size, and fine-tuning from what it made: by their command lines, with the real parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dia2.engine import Dia2
from training.dialogue import Dialogue, Turn
from training.espeak import SAMPLE_RATE
from training.finetune import main as finetune
from training.recipe import main as recipe
from training.robots import record

from ..support.speech import has_flite, has_texts

pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke recipe was carried out."""
    if not (has_flite() and has_texts()):
        pytest.skip("flite, WordNet or wamerican-small is not installed")
    folder = tmp_path_factory.mktemp("recipe")
    threads = torch.get_num_threads()
    begin = time.monotonic()
    try:
        assert recipe([str(folder), "--size", "smoke", "--workers", "1"]) == 0
    finally:
        torch.set_num_threads(threads)
    assert time.monotonic() - begin < 120
    return folder


@pytest.mark.slow
def test_the_result_loads_as_a_published_checkpoint_and_speaks(made: Path) -> None:
    tts = Dia2.from_repo(str(made / "checkpoint"), device="cpu", strict=True)
    result = tts.generate("[S1] Hello there. [S2] Hi!", seed=1)
    assert result.stop_reason == "end"
    assert [word for word, _ in result.timestamps] == ["Hello", "there.", "Hi!"]
    assert len(result.waveform) > 0


@pytest.mark.slow
def test_a_second_run_has_nothing_left_to_do(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made / "codes").iterdir()}
    assert recipe([str(made), "--size", "smoke", "--workers", "1", "--step", "corpus", "--step", "codes"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (made / "codes").iterdir()} == before
    assert "corpus: done" in capsys.readouterr().out


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings with word times."""
    folder = tmp_path_factory.mktemp("recordings")
    for i, text in enumerate(("Good morning.", "How are you today?", "I am fine.")):
        said = record(Dialogue((Turn(1 + i % 2, (text,)),), (0.0,)), None)
        silence = np.zeros(SAMPLE_RATE // 2, np.float32)
        soundfile.write(folder / f"{i}.wav", np.concatenate([silence, said.samples]), SAMPLE_RATE)
        words = [
            {"text": s.text, "start": s.start + 0.5, "end": s.end + 0.5, "speaker": s.speaker} for s in said.spoken
        ]
        (folder / f"{i}.json").write_text(json.dumps(words))
    return folder


@pytest.mark.slow
def test_fine_tuning_speaks_while_it_learns_and_writes_a_checkpoint(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned"
    code = finetune(
        [str(recordings), str(out), "--steps", "4", "--every", "2", "--batch-frames", "60", "--store", "float16"]
    )
    assert code == 0
    assert sorted(path.name for path in (out / "audio").iterdir()) == [
        "step-000000.wav",
        "step-000002.wav",
        "step-000004.wav",
    ]
    assert list((out / "run").glob("events.out.tfevents.*"))
    said = capsys.readouterr()
    assert "knows two synthetic voices" in said.err
    assert str(out / "checkpoint") in said.out
    tuned = Dia2.from_repo(str(out / "checkpoint"), device="cpu", strict=True).runtime.model
    before = Dia2.nano(device="cpu").runtime.model
    changed = (tuned.transformer.action_head.weight - before.transformer.action_head.weight).abs().max()
    assert 0 < float(changed) < 0.1


@pytest.mark.slow
def test_a_stopped_fine_tuning_goes_on(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    command = [sys.executable, "-m", "training.finetune", str(recordings), str(out), "--every", "100000"]
    command += ["--batch-frames", "60", "--device", "cpu"]
    victim = subprocess.Popen([*command, "--steps", "100000"], start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not list((out / "run").glob("events.*")) and time.monotonic() < deadline:  # all is imported, then
            time.sleep(0.1)
        time.sleep(3)
    finally:
        os.killpg(victim.pid, signal.SIGINT)
        assert victim.wait(60) == 130
    state = torch.load(out / "run" / "state.pt", weights_only=True)
    assert state["step"] > 0
    steps = state["step"] + 2
    again = subprocess.run([*command, "--steps", str(steps)], capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stderr
    assert "preparing" not in again.stdout  # codes were kept
    assert torch.load(out / "run" / "state.pt", weights_only=True)["step"] == steps


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no recordings: put .wav, .flac, .ogg, .mp3 files there, or a table that names some."),
        ({"a.json": '[{"text": "hi", "start": 0, "end": 1, "speaker": 3}]'}, "names speaker 3 of 'hi'"),
        ({"a.json": "{"}, "a.json"),
        ({"a.txt": "[S1]", "a.wav": 70}, "is longer than 60 seconds: cut it into parts"),
    ],
)
def test_bad_recordings_are_named_before_anything_is_loaded(
    files: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    seconds = files.get("a.wav", 1)
    assert isinstance(seconds, int)
    if files:
        soundfile.write(data / "a.wav", np.sin(np.arange(SAMPLE_RATE * seconds) * 0.1) * 0.1, SAMPLE_RATE)
    for name, content in files.items():
        if name != "a.wav":
            (data / name).write_text(str(content))
    assert finetune([str(data), str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith("error: ")
    assert message in told
