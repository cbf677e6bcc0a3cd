"""Real Whisper on speech whose words and times are known: what a clone is made of."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
import torch

from dia2.runtime.audio_io import load_audio
from dia2.runtime.voice_file import load_voice
from dia2.runtime.words import WHISPER_RATE, Word, load_whisper, read_words, transcribe_words
from training.espeak import SAMPLE_RATE, Voice, speak

from ..support.reference import engine
from ..support.speech import ESPEAK, Recording, has_flite, talk
from ..support.whisper_weights import checkpoint

CPU = torch.device("cpu")
STORY = "Once upon a time, a fox met a crow on the road. They talked until the sun went down."
NAMES = "I paid $5.50 for a well-known book by D.F. Wallace."


@dataclass(frozen=True)
class Spoken:
    """A recording to be heard."""

    text: str
    voice: str
    change: Callable[[Recording], Recording] = lambda recording: recording
    misheard: int = 2  # words at most; tiny.en knows some voices better than others

    def recording(self) -> Recording:
        return self.change(talk(self.text, self.voice))


def _two(recording: Recording) -> Recording:
    return recording.then(talk("Not too bad, thank you. And you?", "rms").after(0.5)).at(48_000)


SPEECH = {
    "pieces, after a hum": Spoken(NAMES, "slt", lambda r: r.after(0.8).hum(35), misheard=1),
    "two speakers, 48 kHz": Spoken("Good morning. Did you sleep well?", "espeak-f", _two),
    "a pause and noise, 8 kHz": Spoken(STORY, "espeak", lambda r: r.gap(11, 1.2).noise(35).at(8000), misheard=4),
    "faded, 44.1 kHz": Spoken(STORY, "rms", lambda r: r.fade(0.4).at(44_100), misheard=3),
    "silence around": Spoken(STORY, "slt", lambda r: r.after(1.5).before(2.0), misheard=3),
    "a quiet one in noise": Spoken(STORY, "rms", lambda r: r.after(0.5).louder(0.05).noise(25), misheard=5),
}
QUICK = ("pieces, after a hum",)


@pytest.fixture(autouse=True)
def _no_model_is_kept_from_one_test_to_the_next() -> Iterator[None]:
    yield
    load_whisper.cache_clear()


def whisper(name: str) -> str:
    path = checkpoint(name)
    if path is None:
        pytest.skip(f"Whisper {name} could not be downloaded")
    return str(path)


def hear(name: str, path: Path) -> list[Word]:
    return transcribe_words(load_audio(path, WHISPER_RATE), whisper(name), CPU)


def plain(word: Word) -> str:
    return word.text.lower().strip(string.punctuation)


def check(heard: list[Word], recording: Recording, misheard: int) -> None:
    """The words in their order, each near its true time; none without time, none before the last one's end."""
    assert [word.text for word in heard] == [word.text.strip() for word in heard]
    assert all(word.start < word.end for word in heard)
    assert all(before.end <= word.start for before, word in pairwise(heard))
    assert read_words([vars(word) for word in heard], recording.seconds) == heard
    said = recording.words
    blocks = SequenceMatcher(a=[plain(w) for w in said], b=[plain(w) for w in heard], autojunk=False)
    pairs = [
        (said[block.a + i], heard[block.b + i]) for block in blocks.get_matching_blocks() for i in range(block.size)
    ]
    assert len(pairs) >= max(len(said), len(heard)) - misheard, [word.text for word in heard]
    late = [found.start - true.start for true, found in pairs]
    assert max(map(abs, late)) < 0.4, list(zip(pairs, late, strict=True))
    assert median(map(abs, late)) < 0.1
    assert abs(heard[0].start - said[0].start) < 0.12, heard[0]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SPEECH]
)
def test_tiny_whisper_hears_the_words_where_they_are(name: str, tmp_path: Path) -> None:
    listen("tiny.en", SPEECH[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPEECH)
def test_base_whisper_hears_the_words_where_they_are(name: str, tmp_path: Path) -> None:
    listen("base", SPEECH[name], tmp_path)


def listen(model: str, spoken: Spoken, folder: Path) -> None:
    if not has_flite() and (spoken.voice not in ESPEAK or spoken.change is _two):
        pytest.skip("flite is not installed")
    recording = spoken.recording()
    heard = hear(model, recording.write(folder / "a.wav"))
    check(heard, recording, spoken.misheard)
    if spoken.text == NAMES:
        assert {"$5.50", "well-known", "DF"} <= {word.text.replace("D.F.", "DF") for word in heard}


def test_a_voice_is_heard_alike_each_time_and_speaks(tmp_path: Path) -> None:
    recording = talk("The sun went down, and they went home.").after(0.6)
    path, tts = recording.write(tmp_path / "a.wav"), engine("tiny8")
    tts.save_voice(path, tmp_path / "a.voice", whisper=whisper("tiny.en"))
    voice = load_voice(tmp_path / "a.voice", tts.runtime.mimi)
    check(voice.words, recording, 1)

    load_whisper.cache_clear()
    result = tts.generate("[S1] Hi.", seed=1, prefix_speaker_1=path, whisper=whisper("tiny.en"), include_prefix=True)
    again = tts.generate("[S1] Hi.", seed=1, prefix_speaker_1=tmp_path / "a.voice", include_prefix=True)
    assert torch.equal(result.audio_tokens, again.audio_tokens)
    assert [text for text, _ in result.timestamps][: len(voice.words)] == [word.text for word in voice.words]


@pytest.mark.slow
def test_a_language_without_spaces_is_heard_as_many_words() -> None:
    text = "こんにちは。きょうは とても いい てんきです。こうえんを さんぽしましょう。"
    speech = speak(text, Voice("ja", pitch=50, intonation=50, words_per_minute=140))
    recording = Recording(speech.samples, SAMPLE_RATE, ()).at(WHISPER_RATE)
    heard = transcribe_words(torch.from_numpy(recording.samples), whisper("base"), CPU)
    assert "".join(word.text for word in heard).startswith("こんにちは、")
    assert max(len(word.text) for word in heard) <= 5
    assert 15 < len(heard) < 12.5 * recording.seconds
