"""Recordings whose words and times are known: spoken by espeak-ng, and by flite's voices where it is installed.

    recording = talk("Hello there. How are you?", "slt").after(0.8).noise(30).at(48_000).write(tmp_path / "a.wav")

Every change gives a new recording, in which the words stay with their sound.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import soxr

from dia2.runtime.words import Word
from training import wordlists
from training.espeak import SAMPLE_RATE, Voice, speak
from training.robots import word_times

ESPEAK = {
    "espeak": Voice("en-us", pitch=45, intonation=60, words_per_minute=150),
    "espeak-f": Voice("en-us+f3", pitch=60, intonation=60, words_per_minute=160),
}
FLITE = ("slt", "rms")  # a woman and a man; statistical voices, whose phonemes have known times
Samples = np.ndarray[Any, np.dtype[np.float32]]


def has_flite() -> bool:
    """Whether flite's voices can be used; `make test` installs them where it may."""
    return shutil.which("flite") is not None


def has_texts() -> bool:
    """Whether the sources of the corpus's texts are there; `make test` installs them where it may."""
    return (wordlists.WORDNET / "data.noun").exists() and wordlists.COMMON.exists()


@dataclass(frozen=True)
class Recording:
    """Sound, and when each of its words sounds."""

    samples: Samples  # [N] in −1 … 1
    rate: int  # Hz
    words: tuple[Word, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def after(self, seconds: float) -> Recording:
        """With silence before it."""
        return self._gap(0, seconds)

    def before(self, seconds: float) -> Recording:
        """With silence behind it."""
        return self._gap(len(self.words), seconds)

    def gap(self, word: int, seconds: float) -> Recording:
        """With silence before a word, by its index."""
        return self._gap(word, seconds)

    def _gap(self, word: int, seconds: float) -> Recording:
        ends = [0, *(round(w.start * self.rate) for w in self.words[1:]), len(self.samples)]
        at, length = ends[word], round(seconds * self.rate)
        samples = np.insert(self.samples, at, np.zeros(length, np.float32))
        moved = [replace(w, start=w.start + seconds, end=w.end + seconds) for w in self.words[word:]]
        return replace(self, samples=samples, words=(*self.words[:word], *moved))

    def noise(self, snr: float, seed: int = 0) -> Recording:
        """With white noise, by `snr` dB below the sound."""
        noise = np.random.default_rng(seed).standard_normal(len(self.samples))
        return self._added(noise, snr)

    def hum(self, snr: float) -> Recording:
        """With the hum of the mains and two overtones, by `snr` dB below the sound."""
        time = np.arange(len(self.samples)) / self.rate
        return self._added(np.sum([np.sin(2 * np.pi * 50 * k * time + k) / k for k in (1, 2, 3)], axis=0), snr)

    def _added(self, other: np.ndarray[Any, Any], snr: float) -> Recording:
        sounding = self.samples[np.abs(self.samples) > 0.01]
        level = float(np.sqrt(np.mean(np.square(sounding)))) * 10 ** (-snr / 20)
        added = other * (level / np.sqrt(np.mean(np.square(other))))
        return replace(self, samples=(self.samples + added).clip(-1, 1).astype(np.float32))

    def fade(self, seconds: float) -> Recording:
        """Faded in and out."""
        ramp = np.ones(len(self.samples))
        length = min(round(seconds * self.rate), len(ramp))
        ramp[:length] = np.linspace(0, 1, length)
        ramp[len(ramp) - length :] *= np.linspace(1, 0, length)
        return replace(self, samples=(self.samples * ramp).astype(np.float32))

    def louder(self, gain: float) -> Recording:
        """Multiplied."""
        return replace(self, samples=(self.samples * gain).clip(-1, 1).astype(np.float32))

    def at(self, rate: int) -> Recording:
        """At another rate."""
        return replace(self, samples=soxr.resample(self.samples, self.rate, rate), rate=rate)

    def then(self, other: Recording) -> Recording:
        """And another one behind it, of another speaker perhaps."""
        other = other.at(self.rate)
        moved = [replace(w, start=w.start + self.seconds, end=w.end + self.seconds) for w in other.words]
        return replace(self, samples=np.concatenate([self.samples, other.samples]), words=(*self.words, *moved))

    def write(self, path: Path) -> Path:
        """As a sound file of 16 bits; its kind by the name's suffix."""
        soundfile.write(path, self.samples, self.rate, subtype="PCM_16")
        return path


def talk(text: str, voice: str = "espeak") -> Recording:
    """Sentences, as a voice of `ESPEAK` or `FLITE` says them, 0.2 s apart."""
    say = _espeak if voice in ESPEAK else _flite
    first, *others = [say(sentence, voice) for sentence in re.findall(r"\S.*?(?:[.?!](?=\s|$)|$)", text)]
    recording = first
    for other in others:
        recording = recording.before(0.2).then(other)
    return recording.at(SAMPLE_RATE)


@cache
def _espeak(sentence: str, voice: str) -> Recording:
    speech = speak(sentence, ESPEAK[voice])
    spoken = word_times(sentence, speech, _sounding(speech.samples), 1, 0.0)
    return _trimmed(speech.samples, SAMPLE_RATE, [Word(word.text, word.start, word.end) for word in spoken])


@cache
def _flite(sentence: str, voice: str) -> Recording:
    """flite tells when each phoneme ends; how many there are of a word, each word alone tells."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        told = _run_flite("-voice", voice, "-psdur", "-t", sentence, "-o", str(path))
        samples, rate = soundfile.read(path, dtype="float32")
    ends = [(phone, float(end)) for phone, _, end in (item.partition(":") for item in told.split())]
    starts = [(phone, start) for (phone, _), (_, start) in zip(ends, [("", 0.0), *ends], strict=False)]
    phones = [(phone, start, end) for (phone, start), (_, end) in zip(starts, ends, strict=True) if phone != "pau"]
    counts = [len(_phones(voice, word)) for word in sentence.split()]
    assert sum(counts) == len(phones), f"flite says {sentence!r} otherwise than its words: {counts}, {len(phones)}"
    words = []
    for text, count in zip(sentence.split(), counts, strict=True):
        of_word, phones = phones[:count], phones[count:]
        words.append(Word(text, of_word[0][1], of_word[-1][2]))
    return _trimmed(samples, rate, words)


@cache
def _phones(voice: str, word: str) -> Sequence[str]:
    return [phone for phone in _run_flite("-voice", voice, "-ps", "-t", word, "-o", "none").split() if phone != "pau"]


def _run_flite(*arguments: str) -> str:
    ran = subprocess.run(["flite", *arguments], check=True, capture_output=True, text=True)
    return ran.stdout


def _sounding(samples: Samples) -> int:
    return int(np.flatnonzero(np.abs(samples) > 0.004)[-1]) + 1


def _trimmed(samples: Samples, rate: int, words: list[Word]) -> Recording:
    """Without the silence that a synthesizer sets before and behind a sentence."""
    first = int(np.flatnonzero(np.abs(samples) > 0.004)[0])
    kept, cut = samples[first : _sounding(samples)], first / rate
    moved = [Word(w.text, max(0.0, w.start - cut), min(w.end - cut, len(kept) / rate)) for w in words]
    return Recording(kept, rate, tuple(moved))
