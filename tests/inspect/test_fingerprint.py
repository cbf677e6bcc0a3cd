"""What a trace notes of a checkpoint's files: content always, and names where there may be several."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dia.adapter.facts import fingerprint as dia_fingerprint
from dia2.common import hashing


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def folder(path: Path, **files: bytes) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def hashes(place: Path, *weights: str, codec: Path | None = None) -> dict[str, str | None]:
    source: Any = SimpleNamespace(
        config=place / "config", weight_files=[place / name for name in weights], dac=str(codec or "a/repo")
    )
    return dia_fingerprint(source, codec=codec is not None)


def test_a_single_file_has_the_hash_of_its_content(tmp_path: Path) -> None:
    found = hashes(folder(tmp_path / "a", config=b"{}", weights=b"123"), "weights")
    content = {"config": b"{}", "weights": b"123"}
    assert found == {name: hashlib.sha256(text).hexdigest() for name, text in content.items()} | {"codec": None}


def test_of_several_files_each_name_and_each_content_counts(tmp_path: Path) -> None:
    places = [
        folder(tmp_path / "0", part1=b"1", part2=b"2"),
        folder(tmp_path / "1", part1=b"0", part2=b"2"),
        folder(tmp_path / "2", part1=b"1", part2=b"0"),
        folder(tmp_path / "3", part1=b"1", other=b"2"),
    ]
    found = [hashes(place, *sorted(file.name for file in place.iterdir()))["weights"] for place in places]
    assert len({*found}) == len(places)
    assert hashes(folder(tmp_path / "same", part1=b"1", part2=b"2"), "part1", "part2")["weights"] == found[0]


def test_in_a_folder_a_name_counts_even_if_there_is_one_file(tmp_path: Path) -> None:
    places = [folder(tmp_path / "0", one=b"1"), folder(tmp_path / "1", two=b"1"), folder(tmp_path / "2", one=b"2")]
    assert len({hashes(tmp_path, codec=place)["codec"] for place in places}) == 3
    before = hashes(tmp_path, codec=places[0])
    (places[0] / "folder").mkdir()
    assert hashes(tmp_path, codec=places[0]) == before


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", weights=b"1")
    assert hashes(place, "weights", "gone", codec=tmp_path / "nowhere") == dict.fromkeys(("config", "weights", "codec"))


@pytest.mark.parametrize(("size", "told"), [(9, False), (10, True), (11, True)])
def test_hashing_what_takes_long_is_told(
    size: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hashing, "_SLOW", 10)
    file = tmp_path / "weights"
    file.write_bytes(bytes(size))
    with caplog.at_level("INFO", "dia2"):
        hashing.hash_path(file)
    assert (f"hashing {file}, once" in caplog.text) == told
