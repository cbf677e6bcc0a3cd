"""A recording used again is neither encoded nor transcribed again, and a changed one is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from dia2 import UsageError
from dia2.generation import WordList
from dia2.inspect import Dia2Trace
from dia2.inspect.schema.row import FilledRow
from dia2.runtime import recordings, voice_clone
from dia2.runtime.audio_io import Sound, encode_audio_tokens, read_sound
from dia2.runtime.context import RuntimeContext
from dia2.runtime.voice_clone import read_voice
from dia2.runtime.voice_file import Voice
from dia2.runtime.words import Word

from ..support.reference import ROOT, Case, Recorder, engine

TINY8 = ROOT / "tiny8"
WORDS: list[dict[str, Any]] = [{"text": "Hello", "start": 0.1, "end": 0.5}]
OTHERS: list[dict[str, Any]] = [{"text": "Bye", "start": 0.2, "end": 0.6}]
KEPT = "kept from an earlier run of this engine"


class Work:
    """Counts what is worked out; Whisper is replaced by someone who hears its own name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded = 0
        self.heard: list[str] = []  # the Whisper that was asked, each time

        def count(codec: Any, samples: Tensor) -> Tensor:
            self.encoded += 1
            return encode_audio_tokens(codec, samples)

        def listen(samples: Tensor, whisper_model: str, *_: object) -> list[Word]:
            assert samples.shape[0] == 25_600  # 1.6 s at 16 kHz
            self.heard.append(whisper_model)
            return [Word(whisper_model, 0.1, 0.5)]

        monkeypatch.setattr(voice_clone, "encode_audio_tokens", count)
        monkeypatch.setattr(voice_clone, "transcribe_words", listen)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return written(tmp_path / "a.wav", 1.0)


def written(path: Path, gain: float) -> Path:
    samples, rate = soundfile.read(TINY8 / "spk1.wav", dtype="float32")
    soundfile.write(path, samples * gain, rate)
    return path


def runtime() -> RuntimeContext:
    return engine("tiny8").runtime


def test_whisper_and_mimi_are_asked_once(work: Work, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_voice(runtime(), sound, None, "turbo")
    monkeypatch.chdir(sound.parent)
    again = read_voice(runtime(), "a.wav", None, "turbo")  # the same file by another name
    assert (work.encoded, work.heard) == (1, ["turbo"])
    assert torch.equal(first.codes, again.codes)
    assert first.words == again.words == [Word("turbo", 0.1, 0.5)]
    assert (first.kept, again.kept) == ((), ("codes", "words"))
    assert first.samples is not None
    assert first.samples is again.samples


def test_another_whisper_listens_itself(work: Work, sound: Path, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"a")
    for name in ("turbo", "small", "turbo", str(tmp_path / "w.pt"), str(tmp_path / "w.pt")):
        assert read_voice(runtime(), sound, None, name).words[0].text == name
    (tmp_path / "w.pt").write_bytes(b"bc")
    voice = read_voice(runtime(), sound, None, str(tmp_path / "w.pt"))
    assert work.heard == ["turbo", "small", *[str(tmp_path / "w.pt")] * 2]
    assert work.encoded == 1
    assert voice.kept == ("codes",)


def test_given_words_are_read_each_time(work: Work, sound: Path, tmp_path: Path) -> None:
    def said(words: str | Path | WordList | None) -> tuple[str, tuple[str, ...]]:
        voice = read_voice(runtime(), sound, words, "turbo")
        return voice.words[0].text, voice.kept

    assert said(WORDS) == ("Hello", ())
    assert said(OTHERS) == ("Bye", ("codes",))
    file = tmp_path / "words.json"
    for words in (WORDS, OTHERS):
        file.write_text(json.dumps(words), encoding="utf-8")
        assert said(file)[0] == words[0]["text"]
    with pytest.raises(UsageError, match=r"after the audio \(1\.60 s\)"):
        said([{"text": "Hi", "start": 0.0, "end": 1.7}])
    assert said(None) == ("turbo", ("codes",))
    assert said(None) == ("turbo", ("codes", "words"))
    assert (work.encoded, work.heard) == (1, ["turbo"])


@pytest.mark.parametrize("same_time", [False, True])
def test_a_changed_file_is_read_anew(work: Work, sound: Path, same_time: bool) -> None:
    first, before = read_voice(runtime(), sound, None, "turbo"), sound.stat()
    written(sound, 0.3)
    assert sound.stat().st_size == before.st_size
    if same_time:  # as a copy that keeps times leaves it
        os.utime(sound, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = read_voice(runtime(), sound, None, "turbo")
    assert (work.encoded, again.kept) == (2, ())
    assert first.samples is not None
    assert again.samples is not None
    assert torch.allclose(again.samples, 0.3 * first.samples, atol=1e-3)


def test_a_file_that_is_gone_is_told(work: Work, sound: Path) -> None:
    read_voice(runtime(), sound, WORDS, "turbo")
    sound.unlink()
    with pytest.raises(UsageError, match="There is no prefix audio"):
        read_voice(runtime(), sound, WORDS, "turbo")
    assert work.encoded == 1


def test_a_file_that_is_written_to_meanwhile_is_not_kept(
    work: Work, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(path: str | Path, rate: int) -> Sound:
        found = read_sound(path, rate)
        written(sound, 0.5)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(recordings, "read_sound", slow)
        read_voice(runtime(), sound, WORDS, "turbo")
    assert len(runtime().recordings) == 0
    assert read_voice(runtime(), sound, WORDS, "turbo").kept == ()


def test_four_recordings_are_kept(work: Work, tmp_path: Path) -> None:
    files = [written(tmp_path / f"{i}.wav", 1 - i / 10) for i in range(5)]
    for file in files:
        read_voice(runtime(), file, WORDS, "turbo")
    assert len(runtime().recordings) == recordings.MOST_RECORDINGS == 4
    kept = [read_voice(runtime(), file, WORDS, "turbo").kept for file in (files[4], files[1], files[0])]
    assert kept == [("codes",), ("codes",), ()]
    assert work.encoded == 6


def test_what_failed_is_tried_again(work: Work, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[Word]:
        raise UsageError("Whisper heard nothing.")

    with monkeypatch.context() as patch:
        patch.setattr(voice_clone, "transcribe_words", broken)
        for _ in range(2):
            with pytest.raises(UsageError, match="heard nothing"):
                read_voice(runtime(), sound, None, "turbo")
    assert read_voice(runtime(), sound, None, "turbo").kept == ()
    assert (work.encoded, work.heard) == (1, ["turbo"])


def test_a_voice_cannot_spoil_what_is_kept(work: Work, sound: Path) -> None:
    read_voice(runtime(), sound, None, "turbo").words.clear()
    assert read_voice(runtime(), sound, None, "turbo").words == [Word("turbo", 0.1, 0.5)]


def test_a_voice_file_has_no_waveform(work: Work, sound: Path, tmp_path: Path) -> None:
    engine("tiny8").save_voice(sound, tmp_path / "a.voice")
    voice = read_voice(runtime(), tmp_path / "a.voice", None, "turbo")
    assert isinstance(voice, Voice)
    assert (voice.samples, voice.kept) == (None, ())
    engine("tiny8").save_voice(sound, tmp_path / "b.voice")
    again = read_voice(runtime(), tmp_path / "b.voice", None, "turbo")
    assert torch.equal(again.codes, voice.codes)
    assert again.words == voice.words
    assert (work.encoded, work.heard) == (1, ["turbo"])


def rows(trace: Dia2Trace) -> dict[int, FilledRow]:
    return {filled.row.number: filled for filled in trace.rows()}


def test_rows_that_are_not_run_say_why(work: Work, sound: Path, tmp_path: Path) -> None:
    second = written(tmp_path / "b.wav", 0.7)
    for name in ("first", "again"):
        engine("tiny8").generate(
            "[S1] Hi.", seed=1, prefix_speaker_1=sound, prefix_speaker_2=second, trace=tmp_path / name
        )
    first, again = rows(Dia2Trace.load(tmp_path / "first")), rows(Dia2Trace.load(tmp_path / "again"))
    assert first[16].note != KEPT  # patched above, so no phase either
    assert (again[14].status, again[14].note) == ("not run", KEPT)
    assert (again[16].status, again[16].note) == ("not run", KEPT)
    assert again[17].outputs.startswith(f"codes [8, 20]; codes and words {KEPT}; 1 word: “turbo”")
    same = (13, 15, 18, 19, 20, 22, 23)
    assert [(again[n].mutations, again[n].outputs) for n in same] == [
        (first[n].mutations, first[n].outputs) for n in same
    ]


def test_rows_tell_words_that_were_given_from_words_that_were_kept(tmp_path: Path) -> None:
    case, tts = Case("tiny8", "prefix1"), engine("tiny8")
    for name in ("first", "again"):
        tts.generate("[S1] Hi.", case.config(seed=1), trace=tmp_path / name)
    first, again = Dia2Trace.load(tmp_path / "first"), Dia2Trace.load(tmp_path / "again")
    assert rows(first)[16].status == "done"
    assert rows(again)[14].note == "words were given, so Whisper was not asked"
    assert rows(again)[16].note == KEPT
    assert again.diagnose().measured  # the sound is still looked at
    assert first.prefix is not None
    assert again.prefix is not None
    assert np.array_equal(first.prefix.rms, again.prefix.rms)
    assert np.array_equal(first.prefix.peak, again.prefix.peak)
    assert first.run.voice_frames == again.run.voice_frames
    assert "prefix.encode" in again.manifest.never_fired


def test_a_second_run_says_the_same() -> None:
    case, tts = Case("tiny8", "prefix2"), engine("tiny8")
    seen = Recorder("prefix.encode,prefix.voice")
    results = [tts.generate("[S1] Hi.", case.config(seed=1), observer=seen) for _ in range(2)]
    assert (len(seen.seen["prefix.encode"]), len(seen.seen["prefix.voice"])) == (2, 4)
    assert torch.equal(results[0].audio_tokens, results[1].audio_tokens)
    assert torch.equal(results[0].waveform, results[1].waveform)
    assert results[0].timestamps == results[1].timestamps
