"""A checkpoint's folder can come from anybody: pipes where files should be, headers larger than any model's."""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import dia
from dia.assets import toy_folder
from dia.codec import DacCodec
from dia.weight_files import INDEX, weight_files
from dia2 import Dia2
from dia2.audio.codec import Codec
from dia2.common.checks import MAX_HEADER, NotAFileError, TooLargeError, check_header, read_small
from dia2.common.errors import CheckpointError, Dia2Error, UsageError
from dia2.common.tensor_file import StoredTensors
from dia2.runtime.assets import from_repo, nano_folder
from dia2.runtime.tokenizer import load_tokenizer
from dia2.runtime.voice_file import load_voice
from dia2.runtime.words import read_words

from .support.reference import engine

CPU = torch.device("cpu")


def nano(tmp_path: Path) -> Path:
    """A copy of the embedded checkpoint, whose larger files are links, as a hub's cache has them."""
    folder = tmp_path / "model"
    shutil.copytree(
        nano_folder(), folder, copy_function=os.symlink, ignore=shutil.ignore_patterns("sample*", "README*")
    )
    return folder


def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    shutil.copytree(toy_folder(), folder, copy_function=os.symlink)
    return folder


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def repo(at: Path) -> object:
    return from_repo(str(at / "model"))


def mimi(at: Path) -> object:
    return Codec.load(at / "model" / "mimi", num_codebooks=8, device=CPU)


def tokens(at: Path) -> object:
    return load_tokenizer(str(at / "model" / "tokenizer"), trust_remote_code=False)


def first(at: Path) -> object:
    return dia.Dia.from_pretrained(str(at / "toy"), load_dac=False)


def dac(at: Path) -> object:
    return DacCodec.load(at / "toy" / "dac", channels=1, device=CPU)


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` raises; reading a pipe would wait for ever."""
    found: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            found.append(None)
        except BaseException as error:  # noqa: BLE001  # told by who waits
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it waits"
    return found[0]


@pytest.mark.parametrize("kind", [pipe, device])
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("model/config.json", repo),
        ("model/model.safetensors", repo),
        ("model/dia2_assets.json", repo),
        ("model/mimi/config.json", mimi),
        ("model/mimi/model.safetensors", mimi),
        ("model/tokenizer/tokenizer.json", tokens),
        ("model/tokenizer/tokenizer_config.json", tokens),
        ("model/tokenizer/config.json", tokens),
        ("model/tokenizer/merges.txt", tokens),
        ("toy/config.json", first),
        ("toy/model.safetensors", first),
        (f"toy/{INDEX}", first),
        ("toy/dac/config.json", dac),
        ("toy/dac/model.safetensors", dac),
        ("toy/dac/generation_config.json", dac),
        ("toy/part.safetensors", lambda at: StoredTensors(at / "toy" / "part.safetensors")),
        (f"toy/other/{INDEX}", lambda at: weight_files(at / "toy" / "other" / INDEX)),
    ],
)
def test_what_is_no_file_is_refused_as_what_it_is(
    tmp_path: Path, name: str, use: Callable[[Path], Any], kind: Callable[[Path], None]
) -> None:
    nano(tmp_path)
    toy(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    kind(tmp_path / name)
    error = within(60, lambda: use(tmp_path))
    assert isinstance(error, CheckpointError), repr(error)
    what = "a pipe" if kind is pipe else "a device"
    assert f"it is {what}, not a regular file" in str(error)
    assert Path(name).name in str(error) or Path(name).parent.name in str(error)


def test_links_to_files_are_good(tmp_path: Path) -> None:
    assert Dia2.from_repo(str(nano(tmp_path))).runtime.encode("hello")
    assert dia.Dia.from_pretrained(str(toy(tmp_path))).codec is not None


def test_what_the_user_names_may_be_a_pipe(tmp_path: Path) -> None:
    content = json.dumps([{"text": "Hello", "start": 0.1, "end": 0.4}]).encode()
    os.mkfifo(tmp_path / "words.json")
    writer = threading.Thread(target=lambda: (tmp_path / "words.json").write_bytes(content))
    writer.start()
    assert [word.text for word in read_words(tmp_path / "words.json", 1.0, "words")] == ["Hello"]
    writer.join()
    read, write = os.pipe()
    os.write(write, b"{}")
    os.close(write)
    assert read_small(f"/dev/fd/{read}") == b"{}"  # what a shell names for <(…)
    os.close(read)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAFileError, match="it is a pipe, not a regular file"):
        read_small(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        read_small(tmp_path)


# Headers


def headed(path: Path, size: int) -> Path:
    """A file of which a header is claimed, and in fact there, of so many bytes."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(struct.pack("<Q", size) + b"{" + b" " * (min(size, 2 * MAX_HEADER) - 2) + b"}")
    return path


def test_a_header_is_refused_by_its_first_eight_bytes(tmp_path: Path) -> None:
    check_header(headed(tmp_path / "a", MAX_HEADER))
    for size in (MAX_HEADER + 1, 1 << 40, (1 << 64) - 1):
        with pytest.raises(TooLargeError, match=f"its header claims {size:,} bytes, more than any model's"):
            check_header(headed(tmp_path / "a", size))
    (tmp_path / "short").write_bytes(b"\x01")
    check_header(tmp_path / "short")  # which the library refuses


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("model/model.safetensors", lambda at: Dia2.from_repo(str(at / "model")).runtime),
        ("model/mimi/model.safetensors", mimi),
        ("toy/model.safetensors", first),
        ("toy/dac/model.safetensors", dac),
        ("toy/dac/other.safetensors", dac),
        ("a.voice", lambda at: load_voice(at / "a.voice", engine("tiny8").runtime.mimi)),
    ],
)
def test_every_reader_of_weights_refuses_a_giant_header(tmp_path: Path, name: str, use: Callable[[Path], Any]) -> None:
    nano(tmp_path)
    toy(tmp_path)
    headed(tmp_path / name, MAX_HEADER + 1)
    with pytest.raises(Dia2Error, match="its header claims 1,048,577 bytes") as caught:
        use(tmp_path)
    assert isinstance(caught.value, UsageError if name == "a.voice" else CheckpointError)


def test_each_of_several_files_is_looked_at(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    (folder / "model.safetensors").rename(folder / "part-1.safetensors")
    headed(folder / "part-2.safetensors", MAX_HEADER + 1)
    parts = {"a": "part-1.safetensors", "b": "part-2.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": parts}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"part-2.safetensors .*its header claims"):
        dia.Dia.from_pretrained(str(folder), load_dac=False)
