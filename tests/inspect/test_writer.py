"""The writer of a trace by itself: what it may replace, what it leaves, and what it says when it cannot write."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from dia.adapter.layout import ENCODER_FILE
from dia2.adapter.layout import PREFIX_FILE
from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect.store.layout import AUDIO_FILE, MANIFEST, PHASES_FILE, audio_name, shard_name
from dia2.inspect.store.writer import TraceWriter, check_for_trace, clear_for_trace


class Lost(io.FileIO):
    """A file on a disk that takes nothing any more."""

    def write(self, data: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class Cut(io.FileIO):
    """A file on a disk that fills up in the middle of a line."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # what it is given here
        return super().write(data[:-1])


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[TraceWriter]:
    made = TraceWriter(tmp_path / "run.dia2trace")
    made.begin()
    yield made
    made.close()


def test_bytes_are_those_on_the_disk(writer: TraceWriter) -> None:
    writer.phase({"phase": "a — b"})
    writer.phase({"phase": "\ud800"})  # half a character, from a name of the user's
    writer.shard({"call": np.arange(3, dtype=np.int32)})
    writer.tensors(PREFIX_FILE, {"codes": np.ones((2, 4), np.float32)})
    writer.tensors(ENCODER_FILE, {"text": np.ones(2, np.float32)})
    writer.audio(np.array([0.0, 0.5, -1.0], np.float32), 24_000)
    files = {file.name: file.stat().st_size for file in writer.path.iterdir() if not file.name.startswith(".")}
    assert set(files) == {PHASES_FILE, shard_name(0), PREFIX_FILE, ENCODER_FILE, AUDIO_FILE}
    assert writer.bytes == sum(files.values())
    before = writer.bytes
    writer.manifest({"script": "\ud800 ü"})
    assert writer.bytes == before
    assert json.loads((writer.path / MANIFEST).read_text(encoding="utf-8")) == {"script": "? ü"}
    lines = (writer.path / PHASES_FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"phase": "a — b"}, {"phase": "?"}]


def test_sound_is_kept_in_16_bits(writer: TraceWriter) -> None:
    writer.audio(np.array([0.0, 0.5, -1.0], np.float32), 16_000, audio_name(1, 3))
    file = writer.path / "audio-2.flac"
    assert soundfile.info(file).subtype == "PCM_16"
    samples, rate = soundfile.read(file)
    assert (list(samples), rate) == ([0.0, 0.5, -1.0], 16_000)
    assert audio_name(0, 1) == AUDIO_FILE


def test_small_columns_take_two_bytes(writer: TraceWriter) -> None:
    writer.small = frozenset({"codes", "audio"})
    whole = np.arange(6, dtype=np.int32).reshape(2, 3)
    writer.shard({"codes": whole, "audio": whole.T, "step": whole[0]})
    stored = load_file(writer.path / shard_name(0))
    assert {name: array.dtype for name, array in stored.items()} == {"codes": "i2", "audio": "i2", "step": "i4"}
    assert np.array_equal(stored["audio"], whole.T)


def test_a_shard_is_written_over_until_it_counts(writer: TraceWriter) -> None:
    for calls in (1, 2):
        writer.shard({"call": np.arange(calls)})
    assert len(load_file(writer.path / shard_name(0))["call"]) == 2
    writer.shards += 1
    writer.shard({"call": np.arange(5)})
    assert [len(load_file(writer.path / shard_name(index))["call"]) for index in (0, 1)] == [2, 5]


@pytest.mark.parametrize(("kind", "reason"), [(Lost, os.strerror(errno.EIO)), (Cut, "the disk is full")])
def test_a_line_that_cannot_be_written_is_told(kind: type[io.FileIO], reason: str, writer: TraceWriter) -> None:
    assert writer._phases is not None
    writer._phases.close()
    writer._phases = kind(writer.path / PHASES_FILE, "wb")
    with pytest.raises(Dia2Error) as caught:
        writer.phase({"phase": "a"})
    assert str(caught.value) == f"{writer.path / PHASES_FILE} could not be written ({reason})."
    assert writer.bytes == 0


def test_nothing_is_left_of_what_never_began(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    writer = TraceWriter(path)
    assert (path.is_dir(), writer.begun, writer.shards) == (True, False, 0)
    writer.close()
    assert not path.exists()
    path.mkdir()  # the user's own, empty
    TraceWriter(path).close()
    assert path.is_dir()
    writer = TraceWriter(path)
    writer.begin()
    assert writer.begun
    writer.close()
    assert [file.name for file in path.iterdir() if not file.name.startswith(".")] == [PHASES_FILE]


def test_a_folder_that_somebody_uses_by_now_stays(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "run.dia2trace")
    (writer.path / "mine.txt").write_text("mine")
    writer.close()
    assert (writer.path / "mine.txt").read_text() == "mine"


def laid_out(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        file = folder / name
        file.mkdir() if name.endswith("/") else file.write_text("")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        (),
        (PHASES_FILE,),
        (MANIFEST,),
        (".dia2-lock", PHASES_FILE),
        (MANIFEST, PHASES_FILE, PREFIX_FILE, ENCODER_FILE, AUDIO_FILE, shard_name(0), "audio-2.flac", ".dia2-tmp"),
    ],
)
def test_a_trace_may_be_replaced(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "a", *names)
    assert {file.name for file in check_for_trace(folder)} == set(names)
    clear_for_trace(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "names",
    [
        (AUDIO_FILE,),  # sound that could be anybody's
        (shard_name(0), PHASES_FILE),
        (MANIFEST, "notes.txt"),
        (MANIFEST, "frames-0.wav"),
        (MANIFEST, "sound-1.flac"),
        (MANIFEST, "frames-00001.safetensors/"),
        (MANIFEST, ".dia2-folder/"),
        (".git",),
    ],
)
def test_anything_else_is_not_touched(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "a", *names)
    for refuse in (check_for_trace, clear_for_trace, TraceWriter):
        with pytest.raises(UsageError, match="exists and is not a trace"):
            refuse(folder)
    assert {file.name for file in folder.iterdir()} == {name.rstrip("/") for name in names}


def test_no_folder_can_be_made_there(tmp_path: Path) -> None:
    assert check_for_trace(tmp_path / "new") == []
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(laid_out(tmp_path / "trace", MANIFEST))
    for name, message in {
        "missing/new": "missing does not exist: create it",
        "file/new": "file does not exist: create it",
        "a\0b": "cannot be the name of a folder",
        "x" * 300: "cannot be the name of a folder",
        "file": "exists and is not a trace",
        "link": "exists and is not a trace",
    }.items():
        with pytest.raises(UsageError, match=message):
            TraceWriter(tmp_path / name)


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    writer = TraceWriter(tmp_path / "a")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"a cannot be created \(Permission denied\): write elsewhere"):
        writer.begin()
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError, match=r"b cannot be created \(Permission denied\): write elsewhere"):
        TraceWriter(tmp_path / "b")
    (writer.path / MANIFEST).touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UsageError, match=r"a cannot be replaced \(Permission denied\)"):
        clear_for_trace(writer.path)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UsageError, match=r"a cannot be replaced \(Permission denied\)"):
        check_for_trace(writer.path)


def test_the_manifest_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in between leaves what may still be replaced."""
    folder = laid_out(tmp_path / "a", MANIFEST, PHASES_FILE, shard_name(0))
    real, gone = Path.unlink, []

    def unlink(self: Path, *args: bool) -> None:
        gone.append(self.name)
        real(self, *args)

    monkeypatch.setattr(Path, "unlink", unlink)
    clear_for_trace(folder)
    assert gone[-1] == MANIFEST
    assert len(gone) == 3
