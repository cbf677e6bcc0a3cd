"""Weights in several files with an index, as transformers saves what is large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dia.adapter.facts import fingerprint as dia_fingerprint
from dia.assets import from_repo
from dia.config import parse_config
from dia.weight_files import INDEX, weight_files
from dia.weights import flat_views, load_model
from dia2.common.errors import CheckpointError

from ..support.dia import CPU, random_dia, tiny_dia


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of `tiny_dia()` in three files."""
    views = {name: view.contiguous().clone() for name, view in flat_views(random_dia(tiny_dia())).items()}
    names = sorted(views)
    where: dict[str, str] = {}
    for number in range(3):
        own = names[number::3]
        file = f"model-{number + 1:05d}-of-00003.safetensors"
        save_file({name: views[name] for name in own}, tmp_path / file)
        where |= dict.fromkeys(own, file)
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (tmp_path / "config.json").write_text(json.dumps(tiny_dia()))
    return tmp_path


def load(path: Path) -> Any:
    return load_model(parse_config(tiny_dia()), path, device=CPU, dtype=torch.float32)


def test_all_files_are_read(folder: Path) -> None:
    source = from_repo(str(folder))
    assert source.weights == folder / INDEX
    expected, found = random_dia(tiny_dia()).state_dict(), load(source.weights).state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_fingerprint_is_of_the_weights_and_not_of_the_index(folder: Path) -> None:
    source = from_repo(str(folder))
    before = dia_fingerprint(source, codec=False)["weights"]
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index, indent=4))
    assert dia_fingerprint(source, codec=False)["weights"] == before
    part = source.weight_files[1]
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    assert dia_fingerprint(source, codec=False)["weights"] not in (before, None)
    part.unlink()
    assert dia_fingerprint(source, codec=False)["weights"] is None


def test_a_file_that_is_missing_or_names_twice_is_told(folder: Path) -> None:
    first, second = weight_files(folder / INDEX)[:2]
    kept = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(CheckpointError, match="hold tensors of the same name"):
        load(folder / INDEX)
    second.unlink()
    with pytest.raises(CheckpointError, match=f"There is no weights file {second}"):
        load(folder / INDEX)
    second.write_bytes(kept)
    load(folder / INDEX)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"weight_map": 5}', "cannot be read"),
        ('{"weight_map": {}}', "names 0 files"),
        ('{"weight_map": {"a": "../model.safetensors"}}', "names '../model.safetensors', which is no"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "names '/etc/passwd', which is no"),
        ('{"weight_map": {"a": "model.pth"}}', "names 'model.pth', which is no"),
        ('{"weight_map": {"a": 5}}', "names 5, which is no"),
        ('{"weight_map": {"a": [1]}}', "cannot be read"),
        ('{"weight_map": {"a": "b.safetensors", "c": 5}}', "cannot be read"),
    ],
)
def test_an_index_names_files_beside_it(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(CheckpointError) as caught:
        weight_files(tmp_path / INDEX)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plain_file_is_itself(tmp_path: Path) -> None:
    assert weight_files(tmp_path / "model.safetensors") == [tmp_path / "model.safetensors"]
