"""The word error rate: what is compared, and what counts as an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from dia2.adapter.word_errors import edits, word_errors
from dia2.inspect import load, sample
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.runtime.words import Word

from ..support.traces import copied, recorded, with_manifest

SCRIPT = "Hello there. How are you today? Not too bad, thank you. And you?"


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A Whisper that hears its first item's words; what it was asked comes after."""
    told: list[Any] = [""]

    def hear(samples: torch.Tensor, model: str, *_: object) -> list[Word]:
        told.append((len(samples), model))
        return [Word(text, 0.3 * i, 0.3 * i + 0.2) for i, text in enumerate(told[0].split())]

    monkeypatch.setattr("dia2.runtime.words.hear_words", hear)
    return told


@pytest.mark.parametrize(("heard", "errors"), [
    (SCRIPT, 0),
    ("hello THERE how are you today not too bad thank you and you", 0),
    (f"♪ {SCRIPT} …", 0),
    ("", 13),
    ("Hello there. How are we today? Not bad, thank you. And you, too?", 3),
    (" ".join([SCRIPT] * 3), 26),
])  # fmt: skip
def test_each_word_that_is_replaced_missed_or_added_is_an_error(heard: str, errors: int, whisper: list[Any]) -> None:
    whisper[0] = heard
    assert word_errors(sample(), "tiny") == errors / 13
    ((samples, model),) = whisper[1:]
    assert (samples, model) == (pytest.approx(5.68 * 16_000, abs=2), "tiny")


@pytest.mark.parametrize(("wanted", "heard", "count"), [
    ("abc", "abc", 0), ("abc", "axcd", 2), ("abc", "", 3), ("", "a", 1), ("abcd", "bcd", 1), ("ab", "ba", 2),
])  # fmt: skip
def test_errors_are_edits(wanted: Sequence[str], heard: Sequence[str], count: int) -> None:
    assert edits(wanted, heard) == count


def test_a_prefix_is_neither_heard_nor_asked_for(whisper: list[Any]) -> None:
    trace: Any = load(recorded())
    said = [word.text for word in trace.words if not word.prefix]
    assert 0 < len(said) < len(trace.words)
    whisper[0] = " ".join(said)
    assert word_errors(trace) == 0.0
    given, rate = trace.given_samples(), trace.model.sample_rate
    assert given > 0
    assert whisper[1] == (pytest.approx((len(trace.audio[0]) - given) / rate * 16_000, abs=2), "base")


def test_silence_has_no_words(tmp_path: Path, whisper: list[Any]) -> None:
    """Whisper, which makes words up where there are none, is not asked."""
    path = copied(tmp_path / "run.dia2trace", lambda: sample().path)
    (path / AUDIO_FILE).unlink()
    soundfile.write(path / AUDIO_FILE, np.zeros(24_000, np.float32), 24_000, format="FLAC", subtype="PCM_16")
    whisper[0] = SCRIPT
    assert word_errors(load(path)) == 1.0  # type: ignore[arg-type]  # of Dia2
    assert len(whisper) == 1


def test_without_sound_or_script_there_is_nothing_to_compare(tmp_path: Path, whisper: list[Any]) -> None:
    trace: Any = load(recorded())
    for what in ("voice", "text"):
        assert word_errors(trace.redact(tmp_path / what, **{what: True})) is None
    never: Any = load(with_manifest(sample().path, tmp_path, status="failed", error="no memory", run=None, result=None))
    assert word_errors(never) is None
    wordless: Any = load(recorded())
    vars(wordless)["words"] = [word for word in trace.words if word.prefix]
    assert word_errors(wordless) is None
    assert len(whisper) == 1
