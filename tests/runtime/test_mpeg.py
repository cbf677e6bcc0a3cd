"""MP3 is decoded apart, so that its decoder's own lines reach nobody, and what they mean is said in our words."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dia2.common.errors import UsageError
from dia2.runtime import mpeg
from dia2.runtime.audio_io import load_audio

RATE = 24_000
TIME = np.arange(5 * RATE) / RATE
SAMPLES = (0.3 * np.sin(1200 * TIME) * np.sin(8 * TIME)).astype(np.float32)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "whole.mp3", SAMPLES, RATE)
    return tmp_path / "whole.mp3"


def test_it_is_known_by_its_first_bytes_or_its_name(tmp_path: Path) -> None:
    beginnings = {
        b"ID3\x04": True, b"\xff\xfb\x90": True, b"\xff\xe0\0": True, b"\xff\xdf\0": False, b"\xfe\xfb\x90": False,
        b"FORM\0\0": False, b"fLaC": False, b"OggS": False, b"RIFF": False, b"\xff": False, b"I": False, b"": False,
    }  # fmt: skip
    for beginning, known in beginnings.items():
        (tmp_path / "a.bin").write_bytes(beginning)
        assert mpeg.is_mpeg(tmp_path / "a.bin") == known, beginning
    (tmp_path / "a.MP3").write_bytes(b"fLaC")
    assert mpeg.is_mpeg(tmp_path / "a.MP3")


def silently(path: Path, capfd: pytest.CaptureFixture[str]) -> np.ndarray:
    samples = load_audio(path, RATE).numpy()
    assert capfd.readouterr() == ("", "")
    return samples


def test_an_mp3_of_many_blocks_is_read_in_one_piece(
    whole: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Read piece by piece, it would be wrong from the second on: libsndfile's seeking misses the sample."""
    samples = silently(whole, capfd)
    assert len(samples) == len(SAMPLES)
    assert np.abs(samples - SAMPLES).max() < 0.05
    assert caplog.messages == []


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_mp3_says_so(
    whole: Path, share: float, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cut = whole.with_name("cut.mp3")
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    samples = silently(cut, capfd)
    assert abs(len(samples) - share * len(SAMPLES)) < 0.1 * len(SAMPLES)
    left = f"{len(samples) / RATE:.2f}"
    assert caplog.messages == [f"Prefix audio 'cut.mp3' is cut short or damaged: {left} of its 5.00 s can be read"]


def damages(content: bytes) -> dict[str, bytes]:
    middle, chance = len(content) // 2, np.random.default_rng(0)
    noise = chance.integers(0, 256, 700, dtype=np.uint8).tobytes()
    return {
        "a hole": content[:middle] + bytes(300) + content[middle + 300 :],
        "a piece lost": content[:middle] + content[middle + 100 :],
        "noise inside": content[:middle] + noise + content[middle + 700 :],
        "noise behind": content + noise,
        "a tag before": b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + content,
        "a tag that lies": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + content,
        "nothing but a tag": b"ID3\x04\0\0\0\0\0\x0a" + bytes(10),
        "the first bytes": content[:100],
        "no sound at all": b"this is a text and no sound " * 60,
        "nothing": b"",
    }


QUICK = ("noise inside", "a tag that lies", "no sound at all", "nothing")


@pytest.mark.parametrize(
    "damage", [pytest.param(damage, marks=[] if damage in QUICK else pytest.mark.slow) for damage in damages(b"")]
)
def test_a_damaged_mp3_is_read_or_refused_without_a_line_of_the_decoder(
    whole: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = whole.with_name("bad.mp3")
    path.write_bytes(damages(whole.read_bytes())[damage])
    try:
        load_audio(path, RATE)
    except UsageError as error:
        assert str(error).startswith(f"Prefix audio {path} cannot be read as sound (")  # noqa: PT017  # if it is one
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.wav", "a", "a.MP3"])
def test_an_mp3_of_any_name(whole: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    other = whole.with_name(name)
    other.write_bytes(whole.read_bytes()[:3000])
    assert 20_000 < len(silently(other, capfd)) < len(SAMPLES)


def test_more_than_two_minutes_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.tile(SAMPLES, 25), RATE)
    with pytest.raises(UsageError, match="is longer than 120 seconds"):
        load_audio(tmp_path / "a.mp3", RATE)


def test_a_decoder_that_hangs_or_dies_is_told(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mpeg, "_PATIENCE", 0.2)
    for body in ("import time; time.sleep(60)", "raise SystemExit(3)", "print('hello')"):
        (tmp_path / "mpeg_child.py").write_text(body)
        monkeypatch.setattr(mpeg, "__file__", str(tmp_path / "mpeg.py"))
        with pytest.raises(UsageError, match="its decoder ended without an error message"):
            load_audio(whole, RATE)
    assert capfd.readouterr() == ("", "")


def test_nothing_that_lies_beside_the_recording_is_imported(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole.with_name("soundfile.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(whole.parent)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert len(load_audio("whole.mp3", RATE)) == len(SAMPLES)
