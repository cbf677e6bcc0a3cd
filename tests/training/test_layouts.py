"""Every layout that people have recordings in is found, or refused in a sentence; none is left out in silence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from dia2.common.errors import UsageError
from training.recordings.judging import judge
from training.recordings.layouts import Found, find
from training.recordings.reading import read_clip

RATE = 16_000


def tone(path: Path, hertz: float = 200.0, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.2 * np.sin(np.arange(round(RATE * seconds)) * hertz * 2 * np.pi / RATE), RATE)
    return path


def texts(found: Found) -> dict[str, str | None]:
    return {clip.name: clip.text for clip in found.clips}


def faults(found: Found) -> dict[str, str]:
    return {fault.name: fault.what for fault in found.faults}


def test_files_with_transcripts_beside_them(tmp_path: Path) -> None:
    for name in (
        "a.wav",
        "b.flac",
        "in/c.ogg",
        "d.mp3",
        "._a.wav",
        ".hidden/e.wav",
        "__MACOSX/f.wav",
        "out/audio/g.wav",
    ):
        tone(tmp_path / name)
    (tmp_path / "a.txt").write_text("hi")
    (tmp_path / "b.json").write_text("[]")
    (tmp_path / "lost.txt").write_text("hi")
    (tmp_path / "README.txt").write_text("hi")
    found = find(tmp_path, tmp_path / "out")
    assert [(clip.name, clip.transcript) for clip in found.clips] == [
        ("a.wav", "a.txt"),
        ("b.flac", "b.json"),
        ("d.mp3", ""),
        ("in/c.ogg", ""),
    ]
    assert found.layout == "files (1 with NAME.json, 1 with NAME.txt, 2 with no transcript)"
    assert found.notes == ("lost.txt has no recording of the same name beside it.",)


def test_ljspeech_takes_the_normalised_text(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        tone(tmp_path / f"LJ/wavs/{name}.wav")
    lines = ['one|He said "5, or 6|He said "five, or six', "two|Plain.", "three||", "lost|Nobody.|Nobody.", "broken"]
    (tmp_path / "LJ/metadata.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    found = find(tmp_path)
    assert found.layout == "LJ/metadata.csv (LJSpeech)"
    assert texts(found) == {
        "LJ/wavs/one.wav": 'He said "five, or six',
        "LJ/wavs/two.wav": "Plain.",
        "LJ/wavs/three.wav": "",
    }
    assert faults(found) == {
        "LJ/metadata.csv, line 4": "names 'lost', which is not there",
        "LJ/metadata.csv, line 5": "is not like id|text or id|text|normalised text",
    }


@pytest.mark.parametrize("name", ["manifest.jsonl", "train_manifest.json", "metadata.jsonl"])
@pytest.mark.parametrize("sound", ["audio_filepath", "audio", "path", "file_name"])
@pytest.mark.parametrize("text", ["text", "transcription"])
def test_json_lines(name: str, sound: str, text: str, tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    (tmp_path / name).write_text(json.dumps({sound: "a.wav", text: "[S2] Да."}) + "\n\n[1]\n")
    found = find(tmp_path)
    assert texts(found) == {"a.wav": "[S2] Да."}
    assert faults(found) == {f"{name}, line 3": "is not a JSON object"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", 'file_name,transcription\na.wav,"Hi, you"\n'),
        ("train.csv", "path;sentence\r\na.wav;Hi, you\r\n"),
        ("validated.tsv", "client\tpath\tsentence\n1\ta.wav\tHi, you\n"),
        ("metadata.csv", "audio_file|text|speaker_name\na.wav|Hi, you|x\n"),
    ],
)
def test_tables_with_a_first_line(name: str, content: str, tmp_path: Path) -> None:
    tone(tmp_path / "clips/a.wav")
    (tmp_path / name).write_text(content)
    assert texts(find(tmp_path)) == {"clips/a.wav": "Hi, you"}
    assert texts(find(tmp_path / name)) == {"clips/a.wav": "Hi, you"}


def test_parquet_with_sound_in_it(tmp_path: Path) -> None:
    content = tone(tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").unlink()
    rows = [{"audio": {"bytes": content, "path": "a.wav"}, "text": "Hi"}, {"audio": {"bytes": None}, "text": "you"}]
    (tmp_path / "data").mkdir()
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "data/train-0.parquet", row_group_size=1)
    found = find(tmp_path)
    assert texts(found) == {"data/train-0.parquet, row 1": "Hi", "data/train-0.parquet, row 2": "you"}
    assert len(read_clip(found.clips[0]).samples) == RATE
    verdict = judge(found.clips)
    assert [one.text for one in verdict.good] == ["Hi"]
    assert [fault.what for fault in verdict.faults] == [
        "holds no bytes of sound: store the sound itself in the file, not its path"
    ]


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_parts_of_a_long_file(suffix: str, tmp_path: Path) -> None:
    low, high = (np.sin(np.arange(RATE * 50) * hertz * 2 * np.pi / RATE) * 0.2 for hertz in (200, 1000))
    soundfile.write(tmp_path / f"a.{suffix}", np.concatenate([low, high, low]), RATE)
    rows = [(49.0, 2.0), (60.0, 1.5), (149.0, 5.0), (-1.0, 1.0), (0.0, 0.0)]
    lines = [
        json.dumps({"audio": f"a.{suffix}", "text": "Hi", "offset": begin, "duration": length})
        for begin, length in rows
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    found = find(tmp_path)
    assert faults(found) == {
        "m.jsonl, line 4": "its offset is -1.0, and no number of seconds",
        "m.jsonl, line 5": "its duration is 0",
    }
    both, second = (read_clip(clip) for clip in found.clips[:2])
    assert len(both.samples) == 2 * RATE
    assert len(second.samples) == 1.5 * RATE
    peaks = [
        int(np.abs(np.fft.rfft(part.numpy())).argmax())
        for part in (both.samples[:RATE], both.samples[RATE:], second.samples)
    ]
    assert peaks == [200, 1000, 1500]
    with pytest.raises(
        UsageError, match=r"a\.\w+ from 149 to 154 s is to end at 154\.00 s, and its file has 150\.\d\d s"
    ):
        read_clip(found.clips[2])


def test_no_row_leads_out_of_the_folder(tmp_path: Path) -> None:
    secret = tone(tmp_path / "secret.wav")
    root = tmp_path / "set"
    tone(root / "wavs/a.wav")
    (root / "link.wav").symlink_to(secret)
    (root / "elsewhere").symlink_to(tmp_path)
    names = ["../secret.wav", str(secret), "link.wav", "elsewhere/secret.wav", "wavs/../../secret.wav", "a\0.wav"]
    inside = ["wavs/a.wav", "wavs/../wavs/a.wav", str(root / "wavs/a.wav")]
    (root / "m.jsonl").write_text("\n".join(json.dumps({"path": n, "text": "x"}) for n in [*names, *inside]))
    found = find(root)
    assert [fault.what.partition(": ")[2] or fault.what for fault in found.faults] == [
        *["move it in"] * 5,
        "names a file that cannot be",
    ]
    assert [clip.name for clip in found.clips] == ["wavs/a.wav"] * 3


REFUSED = {
    "metadata.csv": "a,b\n1,2\n",
    "notes.tsv": "a\tb\n",
    "m.jsonl": '{"what": 1}\n',
    "wav.scp": "a a.wav",
    "84-1.trans.txt": "84-1-0 HELLO",
    "data.arrow": "x",
    "set.tar": "x",
    "a.lab": "hello",
    "a.TextGrid": "hello",
    "a.srt": "1\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_looks_like_transcripts_and_is_not_read_is_refused(name: str, tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    (tmp_path / name).write_text(REFUSED[name])
    with pytest.raises(UsageError, match=name) as error:
        find(tmp_path)
    assert " is not read: " in str(error.value)
    (tmp_path / "a.txt").write_text("but all recordings have transcripts")
    assert len(find(tmp_path).clips) == 1


def test_tables_that_say_too_little_or_too_much(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        find(tmp_path / "no")
    with pytest.raises(UsageError, match=r"has no recordings: put \.wav, \.flac, \.ogg, \.mp3 files there"):
        find(tmp_path)
    tone(tmp_path / "a.wav")
    tone(tmp_path / "b.wav")
    (tmp_path / "metadata.csv").write_text("file_name,mood\na.wav,happy\n")
    with pytest.raises(UsageError, match="does not say what is said: it has file_name, mood; call one of them text"):
        find(tmp_path)
    (tmp_path / "metadata.csv").write_bytes("file_name,text\na.wav,Grüße\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"metadata\.csv is not UTF-8 text \(line 2\)"):
        find(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name,text,speaker\na.wav,Hi,x\na.wav,Hi,y\n")
    assert find(tmp_path).notes[0] == "b.wav is left out: no table names it."
    assert find(tmp_path).notes[1].startswith("The table tells 2 speakers apart, which is not read")
    (tmp_path / "more.jsonl").write_text('{"path": "b.wav", "text": "x"}')
    with pytest.raises(UsageError, match=r"several tables in one folder \(metadata\.csv, more\.jsonl\)"):
        find(tmp_path)


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    assert "There is no recording a.wav" in judge(find(tmp_path).clips).faults[0].what
