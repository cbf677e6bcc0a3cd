"""The doctor on speech that real Whisper heard: clean recordings bring no finding, and seeded faults are told.

Rates and noise are those of a usual recording. The twenty recordings of `make test-all` take Whisper minutes; two of
them stand for all in `make test`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from dia2.adapter.findings.recordings import sound_findings
from dia2.adapter.loudness import loudness
from dia2.adapter.prefix_words import PrefixWord
from dia2.inspect.schema.finding import Finding
from dia2.runtime.audio_io import Sound, read_sound, resample
from dia2.runtime.words import WHISPER_RATE, Word, transcribe_words

from ..support.speech import has_flite, talk
from ..support.whisper_weights import checkpoint

RATE, FRAME_RATE = 24_000, 12.5
VOICES = ("espeak", "slt", "rms")
TEXTS = (
    "Good morning. We have three rooms on the second floor, and all of them look out over the garden.",
    "The old man lost his hat in the storm. A young girl found it under a tree and brought it back to him.",
    "You should not have left the window open. It rained all night, and now the carpet is wet.",
    "Thank you for calling. Our office is closed at the moment, so please leave a message after the tone.",
    "Last summer we went to the sea. The water was warm, the food was good, and nobody wanted to go home.",
    "What did the doctor say? He told me to rest for a week, drink a lot of water, and come again on Monday.",
    "There is a small shop at the corner. They sell bread, milk and apples, but they never open before nine.",
)
RECORDINGS = [(text, voice) for text in range(len(TEXTS)) for voice in VOICES][:20]


@dataclass(frozen=True)
class Heard:
    """A recording, its true words, and what Whisper made of it."""

    sound: Sound
    true: list[Word]
    words: list[Word]


@cache
def heard(number: int) -> Heard:
    """Recording `number`: at 16 or 44.1 kHz, with silence and a little noise around."""
    text, voice = RECORDINGS[number]
    path = checkpoint("tiny.en")
    if path is None:
        pytest.skip("Whisper tiny.en could not be downloaded")
    if voice != "espeak" and not has_flite():
        pytest.skip("flite is not installed")
    recording = talk(TEXTS[text], voice).after((0.3, 0.6, 0.0)[number % 3]).before((0.4, 0.8, 0.2)[number % 3])
    recording = recording.gap(8, 0.5) if number % 4 == 1 else recording
    recording = recording.noise((30, 35, 40)[number % 3], seed=number).at((16_000, 44_100)[number % 2])
    with TemporaryDirectory() as folder:
        sound = read_sound(recording.write(Path(folder) / "a.wav"), RATE)
    at_16_khz = resample(sound.samples, RATE, WHISPER_RATE)
    words = transcribe_words(at_16_khz, str(path), torch.device("cpu"))
    return Heard(sound, list(recording.words), words)


def findings(samples: Tensor, clipped: Tensor, words: Sequence[Word]) -> list[Finding]:
    """What the doctor says of a recording of speaker 1."""
    rms, _, tops = loudness(samples, RATE / FRAME_RATE, -(-len(samples) // 1920), clipped * RATE)
    prefix = [
        PrefixWord(i, word.text, 1, word.start, word.end, step=0, taken_step=0, taken_call=0, in_warmup=True)
        for i, word in enumerate(words)
    ]
    return list(sound_findings(rms.numpy(), tops.numpy(), prefix, 1, FRAME_RATE))


def moved(words: Sequence[Word], seconds: float) -> list[Word]:
    return [replace(w, start=max(0.0, w.start + seconds), end=max(0.02, w.end + seconds)) for w in words]


def faults(number: int) -> dict[str, tuple[str, Tensor, list[Word]]]:
    """Seeded faults of a recording: what the doctor should call them, samples, and words."""
    of = heard(number)
    samples, words, half = of.sound.samples, of.words, len(of.words) // 2
    level = float(samples[samples.abs() > 0.01].square().mean().sqrt())
    noise = torch.from_numpy(np.random.default_rng(number).standard_normal(len(samples)).astype(np.float32))
    late, early = (0.4, 0.5, 0.6)[number % 3], -(0.4, 0.5, 0.6)[number % 3]
    return {
        "late from midway": ("prefix-shift", samples, words[:half] + moved(words[half:], late)),
        "early to midway": ("prefix-shift", samples, moved(words[:half], early) + words[half:]),
        "late": ("prefix-shift", samples, moved(words, late)),
        "without every second word": ("prefix-unlabelled-speech", samples, words[::2]),
        "without the first half": ("prefix-unlabelled-speech", samples, words[half:]),
        "without the middle": ("prefix-unlabelled-speech", samples, words[: half // 2] + words[half // 2 + half :]),
        "without the second half": ("prefix-unlabelled-speech", samples, words[:half]),
        "at −45 dB": ("prefix-quiet", samples * 10 ** (-45 / 20) / level, words),
        "with noise 10 dB below": ("prefix-noise", samples + noise * level * 10 ** (-10 / 20), words),
        "with noise as loud": ("prefix-noise", samples + noise * level, words),
    }


def clipped_findings(number: int, gain: float, after: float, folder: Path) -> list[Finding]:
    """Of a recording that is clipped at full scale, and made quieter afterwards."""
    samples = heard(number).sound.samples
    loud = (samples * gain / samples.abs().max()).clamp(-1, 1) * after
    soundfile.write(folder / "loud.wav", loud.numpy(), RATE)
    sound = read_sound(folder / "loud.wav", RATE)
    return findings(sound.samples, sound.clipped, heard(number).words)


def false_alarms(number: int) -> list[str]:
    """What is said of a clean recording with Whisper's words, and with the true ones."""
    of = heard(number)
    return [
        f"{number} {found.kind}: {found.text}"
        for words in (of.words, of.true)
        for found in findings(of.sound.samples, of.sound.clipped, words)
    ]


def seeded(number: int, folder: Path) -> Counter[str]:
    """Which seeded faults of a recording are told: 1 each, or 0."""
    told = Counter[str]()
    for name, (kind, samples, words) in faults(number).items():
        told[name] = int(kind in {found.kind for found in findings(samples, torch.zeros(0), words)})
    for after in (1.0, 0.5):
        found = clipped_findings(number, 3.0, after, folder)
        told[f"clipped, and then {after:g} times as loud"] = int("prefix-clipped" in {one.kind for one in found})
    assert clipped_findings(number, 1.0, 1.0, folder) == [], "normalised to full scale"
    return told


@pytest.mark.parametrize("number", [0, pytest.param(4, marks=pytest.mark.slow)])
def test_a_clean_recording_brings_nothing_and_faults_are_told(number: int, tmp_path: Path) -> None:
    assert false_alarms(number) == []
    told = seeded(number, tmp_path)
    assert sum(told.values()) >= len(told) - 1, told


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_clean_recordings_bring_nothing_and_most_faults_are_told(tmp_path: Path) -> None:
    assert [line for number in range(20) for line in false_alarms(number)] == []
    told = sum((seeded(number, tmp_path) for number in range(20)), Counter[str]())
    assert min(told.values()) >= 15, told
    assert sum(told.values()) >= 0.94 * 20 * 12, told
