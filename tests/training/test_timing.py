"""Real Whisper reads transcripts along in a language that it hears badly; espeak-ng knows when each word is said."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from dia2.runtime.words import WHISPER_RATE, Word, load_whisper
from training.espeak import SAMPLE_RATE, Voice, speak
from training.recordings.timing import Listener
from training.robots import word_times

from ..support.whisper_weights import checkpoint

RUSSIAN = [
    "Привет, мой дорогой друг.",
    "Сегодня утром шёл сильный дождь.",
    "Где находится ближайшая аптека?",
    "Завтра вечером мы поедем к бабушке в деревню.",
    "Она читает интересную книгу о море.",
    "Скажите, пожалуйста, который сейчас час?",
]
LEAD = 0.2  # seconds of silence before the first word


@pytest.fixture
def listener() -> Iterator[Listener]:
    path: Path | None = checkpoint("base")
    if path is None:
        pytest.skip("Whisper base could not be downloaded")
    yield Listener(str(path), "ru", torch.device("cpu"))
    load_whisper.cache_clear()


@pytest.mark.slow
def test_russian_words_are_placed_near_their_true_times(listener: Listener) -> None:
    """Half of them within 0.07 s, four of five within 0.1 s, little more than a frame, and all within 0.4 s."""
    late: list[float] = []
    for i, text in enumerate(RUSSIAN):
        speech = speak(text, Voice(("ru", "ru+f2")[i % 2], pitch=50, intonation=50, words_per_minute=140))
        sound = np.concatenate([np.zeros(round(LEAD * SAMPLE_RATE)), speech.samples, np.zeros(SAMPLE_RATE // 2)])
        samples = torch.from_numpy(soxr.resample(sound.astype(np.float32), SAMPLE_RATE, WHISPER_RATE))
        true = word_times(text, speech, len(speech.samples), 1, LEAD)
        unheard = [Word("?", 0.0, len(samples) / WHISPER_RATE)]  # no word of it helps
        placed = [word for words in listener.place(samples, text.split(), unheard, "ru") for word in words]
        late += [found.start - word.start for found, word in zip(placed, true, strict=True)]
    off = np.abs(late)
    assert np.median(off) < 0.07, late
    assert np.mean(off < 0.1) >= 0.8, late
    assert off.max() < 0.4, late


@pytest.mark.slow
def test_a_chinese_sentence_becomes_many_entries(listener: Listener) -> None:
    text = "今天天气很好。我们去公园散步吧。"
    speech = speak(text, Voice("cmn", pitch=50, intonation=50, words_per_minute=140))
    samples = torch.from_numpy(soxr.resample(speech.samples, SAMPLE_RATE, WHISPER_RATE))
    (words,) = listener.place(samples, [text], [Word("?", 0.0, 1.0)], "zh")
    assert "".join(word.text for word in words) == text
    assert max(len(word.text) for word in words) <= 4
    assert len(words) >= 8
    assert all(a.end <= b.start for a, b in pairwise(words))
