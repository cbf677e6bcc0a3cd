"""A WAV whose header was written before its length was known is read to its end; no size in a header is trusted."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dia2.common.errors import UsageError
from dia2.runtime.audio_io import load_audio
from dia2.runtime.wav_header import find_data, mended

RATE = 24_000
SAMPLES = (0.3 * np.sin(np.arange(5001) * 0.05)).astype(np.float32)  # an odd number, so that 8 bits need a byte more


def chunk(name: bytes, content: bytes, size: int | None = None, order: str = "<") -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack(f"{order}I", length) + content + b"\0" * (len(content) % 2)


def with_length(path: Path, length: int, before: bytes = b"") -> Path:
    """The file with another length in its header, and more chunks before its samples."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data")
    content[4:8] = content[at + 4 : at + 8] = struct.pack("<I", length)
    if content[:4] == b"RF64":
        long = content.index(b"ds64") + 8
        content[long : long + 16] = struct.pack("<QQ", length, length)
    content[at:at] = before
    other = path.with_name("other.wav")
    other.write_bytes(content)
    return other


LENGTHS = [0, 0xFFFFFFFF, 0x7FFFF000, 200_000]
MORE = [b"", chunk(b"LIST", b"INFOx"), chunk(b"JUNK", bytes(28)), chunk(b"fact", bytes(4)) + chunk(b"bext", bytes(33))]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_any_unknown_length_means_to_the_end(tmp_path: Path, subtype: str, kind: str) -> None:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE, format=kind, subtype=subtype)
    whole = load_audio(tmp_path / "whole.wav", RATE)
    for length in LENGTHS:
        for before in MORE:
            piped = with_length(tmp_path / "whole.wav", length, before)
            assert torch.equal(load_audio(piped, RATE)[: len(whole)], whole), (length, before)


def test_a_chunk_of_odd_length_without_its_padding(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE)
    piped = with_length(tmp_path / "whole.wav", 0, b"LIST" + struct.pack("<I", 5) + b"INFOx")
    assert torch.equal(load_audio(piped, RATE), load_audio(tmp_path / "whole.wav", RATE))


def test_the_other_byte_order(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE, endian="BIG")
    content = bytearray((tmp_path / "whole.wav").read_bytes())
    assert content[:4] == b"RIFX"
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    (tmp_path / "other.wav").write_bytes(content)
    assert torch.equal(load_audio(tmp_path / "other.wav", RATE), load_audio(tmp_path / "whole.wav", RATE))


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_cut_file_ends_with_its_last_whole_sample(tmp_path: Path, cut: int) -> None:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE)
    piped = with_length(tmp_path / "whole.wav", 0)
    piped.write_bytes(piped.read_bytes()[: -1000 - cut])
    assert len(load_audio(piped, RATE)) == 5001 - 500 - (cut + 1) // 2


@pytest.mark.parametrize(
    "behind", [b"", chunk(b"LIST", b"INFOx") + chunk(b"id3 ", bytes(40)), chunk(b"LIST", b"abc")[:-1]]
)
def test_a_file_of_no_samples_is_empty_whatever_follows(tmp_path: Path, behind: bytes) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES[:0], RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes() + behind)
    with pytest.raises(UsageError, match="is empty"):
        load_audio(tmp_path / "a.wav", RATE)


def test_a_header_that_fits_is_left_to_libsndfile(tmp_path: Path) -> None:
    for kind in ("WAV", "RF64", "FLAC"):
        soundfile.write(tmp_path / "a.wav", SAMPLES, RATE, format=kind)
        assert mended(tmp_path / "a.wav") is None


def hostile() -> Iterator[bytes]:
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
    yield b"RIFF\0\0\0\0WAVE" + fmt + chunk(b"LIST", b"", 0xFFFFFFFF) + chunk(b"data", bytes(100), 0)
    yield b"RIFF\0\0\0\0WAVE" + fmt + chunk(b"JUNK", b"") * 200_000
    yield b"RIFF\0\0\0\0WAVE" + chunk(b"data", bytes(100), 0)
    yield b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"\1\0", 0xFFFFFFF0) + chunk(b"data", bytes(100), 0)
    yield (
        b"RF64\0\0\0\0WAVE" + chunk(b"ds64", b"\xff" * 28) + chunk(b"fmt ", b"\xff" * 40) + chunk(b"data", b"a" * 9, 0)
    )
    yield b"RF64\0\0\0\0WAVE" + chunk(b"ds64", b"\xff") + fmt + chunk(b"data", bytes(101), 0xFFFFFFFF)
    for length in (12, 19, 20, 35, 36, 43):
        yield (b"RIFF\0\0\0\0WAVE" + fmt + b"data\0\0\0\0")[:length]
    chance = np.random.default_rng(0)
    for _ in range(100):
        noise = chance.integers(0, 256, 200, dtype=np.uint8).tobytes()
        yield b"RIFF\0\0\0\0WAVE" + fmt[: chance.integers(0, 24)] + b"data\0\0\0\0" + noise


def test_a_hostile_header_is_refused_or_read_within_a_moment(tmp_path: Path) -> None:
    started = time.perf_counter()
    for content in hostile():
        (tmp_path / "a.wav").write_bytes(content)
        try:
            load_audio(tmp_path / "a.wav", RATE)
        except UsageError as error:
            assert str(tmp_path / "a.wav") in str(error)  # noqa: PT017  # if it is one
    assert time.perf_counter() - started < 5


def test_what_was_found(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES, RATE)
    with (tmp_path / "a.wav").open("rb") as file:
        found = find_data(file)
    assert found is not None
    assert (found.start, found.claimed, found.left, found.is_mpeg) == (44, 10_002, 10_002, False)


def test_the_view_is_a_file_like_any_other(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE)
    view = mended(with_length(tmp_path / "whole.wav", 0, MORE[1]))
    assert view is not None
    with view:
        assert view.readable()
        assert view.seekable()
        assert view.read() == (tmp_path / "whole.wav").read_bytes()
        assert (view.seek(-2, 2), view.read(5)) == (10_044, (tmp_path / "whole.wav").read_bytes()[-2:])
        assert (view.seek(40), view.seek(2, 1), view.read(4)) == (40, 42, (tmp_path / "whole.wav").read_bytes()[42:46])
        assert view.seek(20_000) == 20_000
        assert view.read(4) == b""


def test_the_view_ends_where_a_header_can_tell_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dia2.runtime.wav_header._MOST_DATA", 1000)
    soundfile.write(tmp_path / "whole.wav", SAMPLES, RATE)
    view = mended(with_length(tmp_path / "whole.wav", 0))
    assert view is not None
    with view:
        assert len(view.read()) == 44 + 1000
        view.seek(2000)
        assert view.read(4) == b""
