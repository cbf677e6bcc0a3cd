"""What the bar and the log say while a run goes, and what its rates are of."""

from __future__ import annotations

import io
import logging
import sys
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from dia2 import cli
from dia2.common.progress import Progress, doing, progress_bar
from dia2.common.terminal.summary import print_summary
from dia2.runtime.words import WHISPER_RATE, load_whisper, transcribe_words

from .support.reference import ROOT, engine

SPK1, SPK2 = ROOT / "tiny8" / "spk1.wav", ROOT / "tiny8" / "spk2.wav"
SLOW = 0.3  # seconds that this Whisper listens


class Terminal(io.StringIO):
    """Standard error of a person's terminal."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error, from here on. No fixture: pytest sets its own again between fixtures and test."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return screen


@pytest.fixture(autouse=True)
def slow_whisper(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A Whisper that takes its time, warns, and downloads with a bar of its own."""
    module: Any = types.ModuleType("whisper")

    class TheirBar:
        def __init__(self, total: int, **_: object) -> None:
            sys.stderr.write("a bar of theirs")

        def __enter__(self) -> TheirBar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int) -> None:
            sys.stderr.write("moves")

    class Model:
        def transcribe(self, *_: object, **__: object) -> dict[str, object]:
            warnings.warn("a warning of theirs", UserWarning, stacklevel=1)
            time.sleep(SLOW)
            return {"segments": [{"words": [{"word": " Hello", "start": 0.1, "end": 0.5}]}]}

    def load(*_: object, **__: object) -> Model:
        with module.tqdm(total=200, unit="iB") as bar:
            for count in (50, 50, 99, 1):
                bar.update(count)
        warnings.warn("another warning of theirs", UserWarning, stacklevel=1)
        return Model()

    module.tqdm = TheirBar
    module.load_model = load
    module.available_models = lambda: ["turbo"]
    monkeypatch.setitem(sys.modules, "whisper", module)
    load_whisper.cache_clear()
    yield module
    load_whisper.cache_clear()


def in_order(text: str, *parts: str) -> bool:
    """Each part comes after the one before."""
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
    return True


def test_what_whisper_does_shows_as_itself_by_the_name_of_each_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    with progress_bar() as bar:
        engine("tiny8").generate("[S1] Hi.", seed=1, prefix_speaker_1=SPK1, prefix_speaker_2=SPK2, progress=bar)
    said = terminal.getvalue()
    steps = ["loading Whisper turbo", "100 % downloaded", "listening to spk1.wav", "encoding spk1.wav"]
    assert in_order(said, *steps, "listening to spk2.wav", "encoding spk2.wav", "warming up", "speaking", "frames/s")
    assert "theirs" not in said
    assert said.find("speaking") > said.find("warming up")


def test_a_voice_on_the_command_line_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    assert cli.main(["voice", str(SPK1), "-o", str(tmp_path / "a.voice")]) == 0
    assert in_order(terminal.getvalue(), "loading Whisper turbo", "listening to spk1.wav", "a.voice is ready")
    assert "theirs" not in terminal.getvalue()


def test_without_a_terminal_there_is_no_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["voice", str(SPK1), "-o", str(tmp_path / "a.voice"), "--no-doctor"]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines == [f"dia2: note: {tmp_path}/a.voice is ready: give it to --prefix-speaker-1"]


def test_the_log_has_it_once_each(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dia2"):
        engine("tiny8").generate("[S1] Hi.", seed=1, prefix_speaker_1=SPK1)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    steps = ["loading Whisper turbo", "listening to spk1.wav", "encoding spk1.wav", "warming up"]
    assert [line for line in told if line in steps or "Whisper" in line] == steps


def test_rates_are_of_speaking_alone() -> None:
    result = engine("tiny8").generate("[S1] Hi.", seed=1, prefix_speaker_1=SPK1)
    assert result.speaking_seconds is not None
    assert 0 < result.speaking_seconds < result.seconds - SLOW
    file = io.StringIO()
    print_summary(result, "out.wav", Console(file=file, width=200))
    assert f"{result.frames / result.speaking_seconds:.1f} frames/s" in file.getvalue()
    assert f"{result.duration / result.speaking_seconds:.2f} × real time" in file.getvalue()


def test_the_bars_clock_begins_with_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    now = [100.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    with progress_bar() as bar:
        doing("listening to a.wav")
        now[0] += 60
        for frames in range(1, 12):  # ten after the first, in five seconds
            bar(Progress(frames, frames / 12.5, 1, 2))
            now[0] += 0.5
        now[0] -= 0.5  # when the last frame came
    assert "listening to a.wav" in terminal.getvalue()
    last = terminal.getvalue().rpartition("frames/s")[0].rpartition("frames · ")[2]
    assert last.strip() == "2.0"


def test_names_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    terminal = at_a_terminal(monkeypatch)
    with caplog.at_level(logging.INFO, "dia2"), progress_bar():
        doing("listening to [red]\x1b]0;title\x07\u202e.wav")
    assert "listening to [red]�]0;title��.wav" in terminal.getvalue()
    assert caplog.messages == ["listening to [red]�]0;title��.wav"]


def test_what_a_program_hears_is_quiet_and_its_filters_stay() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        words = transcribe_words(torch.zeros(WHISPER_RATE), "turbo", torch.device("cpu"))
        with pytest.raises(UserWarning):
            warnings.warn("a warning of the caller's", UserWarning, stacklevel=1)
    assert [word.text for word in words] == ["Hello"]
    assert caught == []


def test_whispers_own_bar_is_put_back(slow_whisper: types.ModuleType) -> None:
    theirs = slow_whisper.tqdm
    load_whisper("turbo", torch.device("cpu"))
    assert slow_whisper.tqdm is theirs
