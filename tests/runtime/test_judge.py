"""What the caller gives is judged before a checkpoint is loaded: nothing is waited for in vain."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from dia2 import Dia2, UsageError
from dia2.runtime.audio_io import read_sound

from ..support.reference import ROOT, engine, local_files

TINY8 = ROOT / "tiny8"
SPOKEN = TINY8 / "spk1.wav"  # 1.6 seconds
WORD = {"text": "Hello", "start": 0.1, "end": 0.4}


@pytest.fixture
def tts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dia2:
    """An engine that must not load, in an empty folder."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("it was loaded first")

    monkeypatch.setattr("dia2.engine.build_runtime", load)
    monkeypatch.chdir(tmp_path)
    return Dia2.nano(device="cpu")


def words(*rows: object) -> str:
    Path("words.json").write_text(json.dumps(rows))
    return "words.json"


def sound(samples: np.ndarray) -> str:
    soundfile.write("a.wav", samples, 24_000)
    return "a.wav"


def voice(**metadata: str) -> str:
    save_file({"codes": torch.zeros(8, 20, dtype=torch.int32)}, "a.voice", {"format": "dia2-voice", **metadata})
    return "a.voice"


BAD: dict[str, tuple[Callable[[], tuple[object, object]], str]] = {
    "overlap": (lambda: (SPOKEN, words(WORD, WORD | {"start": 0.3, "end": 0.6})), "before the last one ends"),
    "unsorted": (lambda: (SPOKEN, [WORD | {"start": 0.5, "end": 0.6}, WORD]), "sort the words by time"),
    "past the end": (lambda: (SPOKEN, words(WORD | {"end": 1.9})), r"after the audio \(1\.60 s\)"),
    "no words": (lambda: (SPOKEN, []), "holds no words"),
    "no file of words": (lambda: (SPOKEN, "nowhere.json"), "There is no words file nowhere.json"),
    "no recording": (lambda: ("nowhere.wav", words(WORD)), "There is no prefix audio nowhere.wav"),
    "no voice": (lambda: ("nowhere.voice", None), "There is no voice file nowhere.voice"),
    "no sound": (lambda: (__file__, words(WORD)), "cannot be read as sound"),
    "silence": (lambda: (sound(np.zeros(24_000)), words(WORD)), "is silent"),
    "newer voice": (lambda: (voice(version="99"), None), "format version '99'"),
    "a voice's words": (lambda: (voice(version="1"), words(WORD, WORD)), "before the last one ends"),
}


@pytest.mark.parametrize("speaker", [1, 2])
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_voices(tts: Dia2, make: Callable[[], tuple[Any, Any]], message: str, speaker: int) -> None:
    source, given = make()
    good: dict[str, Any] = {"prefix_speaker_1": SPOKEN, "prefix_words_1": [WORD]}
    prefix = good | {f"prefix_speaker_{speaker}": source, f"prefix_words_{speaker}": given}
    before = sorted(Path().iterdir())
    with pytest.raises(UsageError, match=message):
        tts.generate("[S1] Hi.", trace="run.dia2trace", output_wav="out.wav", **prefix)
    with pytest.raises(UsageError, match=message):
        tts.stream("[S1] Hi.", **prefix)
    if speaker == 1:
        with pytest.raises(UsageError, match=message):
            tts.save_voice(source, "made.voice", words=given)
    assert sorted(Path().iterdir()) == before


def test_other_arguments(tts: Dia2, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Unknown speaker tag"):
        tts.stream("[S3] Hi.")
    with pytest.raises(UsageError, match="no Whisper model 'no-such'"):
        tts.generate("[S1] Hi.", prefix_speaker_1=SPOKEN, whisper="no-such")
    with pytest.raises(UsageError, match="no Whisper model 'no-such'"):
        tts.save_voice(SPOKEN, "made.voice", whisper="no-such")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler"):
        tts.stream("[S1] Hi.", use_torch_compile=True)


def test_a_good_recording_is_read_once_and_words_may_come_by_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path, *options: Any) -> Any:
        read.append(str(path))
        return read_sound(path, *options)

    monkeypatch.setattr("dia2.runtime.recordings.read_sound", counted)
    pipe = tmp_path / "words"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(json.dumps([WORD])))
    writer.start()
    tts = Dia2.from_local(**local_files("tiny8"), device="cpu")
    found = tts.generate("[S1] Hi.", seed=1, prefix_speaker_1=SPOKEN, prefix_words_1=pipe)
    writer.join()
    assert read == [str(SPOKEN)]
    expected = engine("tiny8").generate("[S1] Hi.", seed=1, prefix_speaker_1=SPOKEN, prefix_words_1=[WORD])
    assert torch.equal(found.audio_tokens, expected.audio_tokens)
