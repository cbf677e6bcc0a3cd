"""Sound begins where a voice does, and not with the hum, the noise or the click before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soxr
import torch

from dia2.runtime.onset import levels_of, sound_begins
from dia2.runtime.words import WHISPER_RATE

from ..support.speech import Recording, talk

Change = Callable[[Recording], Recording]
CHANGES: dict[str, Change] = {
    "clean": lambda recording: recording,
    "noise": lambda recording: recording.noise(30),
    "hum": lambda recording: recording.hum(15),
    "quiet": lambda recording: recording.louder(0.01),
    "faded": lambda recording: recording.fade(0.5),
    "telephone": lambda recording: recording.at(8000),
    "click": lambda recording: with_click(recording, 0.3),
    "offset": lambda recording: Recording(recording.samples + np.float32(0.05), recording.rate, recording.words),
}


def with_click(recording: Recording, at: float) -> Recording:
    samples = recording.samples.copy()
    samples[round(at * recording.rate) :][:40] = 0.9
    return Recording(samples, recording.rate, recording.words)


def begins(recording: Recording, start: float) -> float | None:
    samples = torch.from_numpy(np.ascontiguousarray(soxr.resample(recording.samples, recording.rate, WHISPER_RATE)))
    return sound_begins(levels_of(samples, WHISPER_RATE), start, recording.words[0].end, since=0.0)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("voice", ["espeak", "espeak-f"])
@pytest.mark.parametrize("text", ["Hello there.", "Fifty ships.", "She said so.", "Okay then."])
def test_speech_begins_where_it_does(text: str, voice: str, change: str) -> None:
    recording = CHANGES[change](talk(text, voice).after(0.9))
    for start in (0.0, 0.5):
        assert begins(recording, start) == pytest.approx(0.9, abs=0.05)


def test_what_begins_at_once_is_left() -> None:
    assert begins(talk("Hello there."), 0.0) is None


def test_where_nothing_stands_out_nothing_is_said() -> None:
    recording = talk("Hello there.").after(0.9)
    samples = torch.from_numpy(np.ascontiguousarray(soxr.resample(recording.noise(0).samples, 24_000, WHISPER_RATE)))
    noisy, silent = levels_of(samples, WHISPER_RATE), levels_of(torch.zeros(WHISPER_RATE), WHISPER_RATE)
    assert sound_begins(noisy, 0.0, 1.2, 0.0) is None
    assert sound_begins(noisy, 0.0, 0.8, 0.0) is None  # a word that ends before there is any
    assert sound_begins(noisy, 0.5, 0.5, 0.0) is None
    assert sound_begins(silent, 0.0, 0.9, 0.0) is None
