"""Files appear whole under their names or not at all, and what cannot be written is told before the work."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from dia2.audio.wav import save_wav
from dia2.common.errors import Dia2Error, UsageError
from dia2.common.files import check_sound_writable, check_writable, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_content_is_written_as_it_is(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    write_atomically(str(tmp_path / "a.bin"), content)
    assert (tmp_path / "a.bin").read_bytes() == content


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old and long")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_the_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    seen = []

    def look(descriptor: int) -> None:
        seen.append((path.read_bytes(), os.fstat(descriptor).st_size))

    monkeypatch.setattr("os.fsync", look)
    write_atomically(path, b"newer")
    assert seen == [(b"old", 5)]


def test_an_interrupt_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "a.bin"
    with pytest.raises(Dia2Error) as error:
        write_atomically(path, b"new")
    assert str(error.value) == (
        f"{path} could not be written (No such file or directory): free some space or write elsewhere."
    )


def test_a_folder_in_the_place_of_the_file_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(Dia2Error, match=r"a\.bin could not be written"):
        write_atomically(tmp_path / "a.bin", b"new")
    assert names(tmp_path) == ["a.bin"]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Dia2Error, match=r"could not be written \(Not a directory\)"):
        write_atomically(tmp_path / "file" / "a.bin", b"new")


def test_a_disk_that_refuses_every_change_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))  # a read-only disk says so even to unlink(missing file)

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(Dia2Error, match=r"could not be written \(Read-only file system\)"):
        write_atomically(tmp_path / "a.bin", b"new")


LONGEST_NAMES = ["a" * 251 + ".wav", "語" * 83 + ".wav", "🎙" * 62 + ".wav"]  # 255, 253 and 252 bytes


@pytest.mark.parametrize("name", LONGEST_NAMES, ids=["ascii", "3 bytes each", "4 bytes each"])
def test_every_name_that_the_disk_takes_can_be_written(tmp_path: Path, name: str) -> None:
    check_writable(tmp_path / name)
    write_atomically(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"


@pytest.mark.parametrize("name", ["a" * 252 + ".wav", "nul\0.wav"], ids=["256 bytes", "NUL"])
def test_a_name_that_the_disk_does_not_take_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"^Output "):
        check_writable(tmp_path / name)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.wav", tmp_path / "link.wav"
    target.write_bytes(b"old")
    link.symlink_to(target)
    check_writable(link)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    # As `dia2 … /dev/null` or /dev/stdout by root would do to a device.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with suppress(Dia2Error):  # it may be refused, or written to
            check_writable(pipe)
            write_atomically(pipe, b"new")
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_writable_place_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.wav").write_bytes(b"old")
    check_writable(tmp_path / "old.wav")
    check_writable(str(tmp_path / "new.wav"))
    assert names(tmp_path) == ["old.wav"]
    assert (tmp_path / "old.wav").read_bytes() == b"old"


def test_a_bare_name_is_written_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable("a.wav")
    write_atomically("a.wav", b"new")
    assert (tmp_path / "a.wav").read_bytes() == b"new"


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as error:
        check_writable(path)
    return str(error.value)


def test_a_folder_is_refused_as_output(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"Output {tmp_path} is a folder: give the name of a file in it."


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    expected = f"Output folder {tmp_path / 'no'} does not exist: create it, or write elsewhere."
    assert refusal(tmp_path / "no" / "a.wav") == expected


def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    expected = f"Output folder {tmp_path} is not writable (Read-only file system): write elsewhere."
    assert refusal(tmp_path / "a.wav") == expected


@pytest.mark.parametrize("name", ["a.mp3", "a.FLAC", "a.webm", "a.xyz", "a.wav.txt", "a.2", "a.wav ", ".mp3"])
def test_a_sound_is_not_written_under_the_name_of_another_kind(tmp_path: Path, name: str) -> None:
    stem, _, suffix = name.rpartition(".")
    expected = rf"Output .* says \.{suffix}, and only WAV can be written: call it {stem or suffix}\.wav, and"
    with pytest.raises(UsageError, match=expected):
        check_sound_writable(tmp_path / name)
    with pytest.raises(UsageError, match=expected):  # whoever forgot to ask before the work
        save_wav(tmp_path / name, torch.zeros(9), 24_000)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.wav", "a.WAV", "a.b.Wav", ".wav", "a", "a."])
def test_a_name_that_says_wav_or_nothing_is_fit_for_a_sound(tmp_path: Path, name: str) -> None:
    check_sound_writable(tmp_path / name)
    assert names(tmp_path) == []


def test_a_device_takes_a_sound_by_any_name(tmp_path: Path) -> None:
    check_sound_writable("/dev/null")
    os.mkfifo(tmp_path / "pipe.mp3")
    check_sound_writable(tmp_path / "pipe.mp3")
