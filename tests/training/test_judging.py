"""All that is wrong with recordings and transcripts is told at once, by file, before anything that takes long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from training.prepare import main
from training.recordings.judging import judge
from training.recordings.layouts import find

from .test_layouts import RATE, tone

SINE = 0.2 * np.sin(np.arange(RATE) * 0.1)
SOUNDS: dict[str, tuple[Any, int, str]] = {  # samples, rate, what is wrong
    "silent": (np.zeros(RATE), RATE, "is silent: check the recording"),
    "nan": (np.full(RATE, np.nan), RATE, "holds samples that are not numbers: export it again"),
    "empty": (np.zeros(0), RATE, "is empty: record it again, or remove it"),
    "long": (np.tile(SINE, 61), RATE, "is longer than 60 seconds: cut it into parts"),
    "short": (SINE[:1600], RATE, "takes 0.10 s, in which nothing can be said: remove it"),
    "slow": (SINE, 4000, "has 4,000 samples a second, and speech needs 8,000: record it anew"),
    "clipped": (np.clip(SINE * 50, -1, 1), RATE, "is clipped during 100% of its time: record it at a lower level"),
}
WORDS: dict[str, tuple[str, bytes, str]] = {  # file, content, what is wrong
    "latin": ("txt", "Grüße".encode("latin-1"), "latin.txt is not UTF-8 text (byte 2): save it as UTF-8"),
    "blank": ("txt", b" \n", "blank.txt has no words: write what is said, or remove it"),
    "marks": ("txt", b"[S1] ... !", "marks.txt has no words: write what is said, or remove it"),
    "tag": ("txt", b"[S3] hi", "tag.txt: Unknown speaker tag [S3] in the script: use [S1] or [S2]"),
    "bell": ("txt", b"hi\a", "bell.txt: The script has the control character U+0007 at position 2: remove it"),
    "order": (
        "json",
        b'[{"text": "a", "start": 0.5, "end": 0.6}, {"text": "b", "start": 0.1, "end": 0.2}]',
        "order.json, word 2 'b' starts at 0.1 s, before the word listed before it: sort the words by time",
    ),
    "late": ("json", b'[{"text": "a", "start": 2, "end": 3}]', "after the audio (1.00 s): is it the right file?"),
    "none": ("json", b'[{"text": " ", "start": 0, "end": 1}]', "none.json has no words: write down what is said"),
    "who": (
        "json",
        b'[{"text": "hi", "start": 0, "end": 1, "speaker": 3}]',
        "who.json names speaker 3 of 'hi': speakers are 1 and 2",
    ),
    "json": ("json", b"{", "is not JSON"),
}


def test_all_faults_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (samples, rate, _) in SOUNDS.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
    for i, (name, (kind, content, _)) in enumerate(WORDS.items()):
        tone(tmp_path / f"{name}.wav", 300 + 10 * i)
        (tmp_path / f"{name}.{kind}").write_bytes(content)
    (tmp_path / "junk.wav").write_bytes(bytes(range(256)))
    tone(tmp_path / "good.wav")
    (tmp_path / "good.json").write_text('[{"text": "hi", "start": 0.1, "end": 0.4}]')
    verdict = judge(find(tmp_path).clips)
    found = {fault.name.removesuffix(".wav"): fault.what for fault in verdict.faults}
    expected = {name: what for name, (*_, what) in (SOUNDS | WORDS).items()}
    assert found.keys() == {*expected, "junk"}
    assert {name: found[name] for name in expected if not found[name].endswith(expected[name])} == {
        "json": found["json"]
    }
    assert expected["json"] in found["json"]
    assert [one.clip.name for one in verdict.good] == ["good.wav"]

    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert all(f"{name}.wav" in error for name in found)
    assert error.splitlines()[-1] == (
        f"training.prepare: error: {len(found)} faults in {tmp_path}: mend what is listed above, or go on "
        "without it by --skip-bad."
    )
    assert "refix" not in error  # what another command calls them
    assert main([str(tmp_path), "--skip-bad"]) == 0
    assert "1 of 19 recordings can be used" in capsys.readouterr().out


def test_what_is_not_quite_right_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SINE * 0.01, 8000)
    verdict = judge(find(tmp_path).clips)
    assert [(note.name, note.what) for note in verdict.notes] == [
        ("a.wav", "is quiet (peak −54 dB of full scale): record it louder, or amplify it"),
        ("a.wav", "has 8,000 samples a second: the voice will be as dull"),
    ]
    assert len(verdict.good) == 1


def test_the_same_sound_counts_once_whatever_its_file(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.flac", soundfile.read(tmp_path / "a.wav")[0], RATE)
    tone(tmp_path / "c.wav")
    for name, text in (("a", "One."), ("b", "One."), ("c", "Two.")):
        (tmp_path / f"{name}.txt").write_text(text)
    verdict = judge(find(tmp_path).clips)
    assert [one.clip.name for one in verdict.good] == ["a.wav"]
    assert [(note.name, note.what) for note in verdict.notes] == [
        ("b.flac", "is left out: the same sound and words as a.wav")
    ]
    assert [(fault.name, fault.what) for fault in verdict.faults] == [
        ("c.wav", "has the same sound as a.wav and other words: keep the right one")
    ]


def test_a_speaker_goes_on_until_another_is_named(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    rows = [{"text": "a", "start": 0.1}, {"text": "\u200b", "start": 0.2, "speaker": 2}, {"text": "b", "start": 0.3}]
    (tmp_path / "a.json").write_text(json.dumps({"format": 2, "words": rows}))
    (one,) = judge(find(tmp_path).clips).good
    assert one.times is not None
    assert [(word.text, word.speaker) for word in one.times] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--held-back", "1"], "--held-back 1 leaves nothing to learn from"),
        (["--held-back", "nan"], "--held-back is a share from 0 to 1, not nan"),
        (["--least-matched", "-1"], "--least-matched is a share from 0 to 1, not -1"),
        (["--language", "Klingon"], "Whisper knows no language 'Klingon'"),
        (["--language", "Russian", "--whisper", "tiny.en"], "Whisper tiny.en knows English alone"),
        (["--whisper", "gigantic"], "There is no Whisper model 'gigantic'"),
    ],
)
def test_options_are_judged_before_a_checkpoint_is_loaded(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone(tmp_path / "a.wav")
    assert main([str(tmp_path), str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
