"""Weights in both layouts: loaded whole or not at all, exactly, in little more memory than they take."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia.config import load_config, parse_config
from dia.layers import DiaModel
from dia.weights import flat_views, load_model, multi_axis_views
from dia2.common.errors import CheckpointError
from dia2.runtime.weights import weight_bytes

from ..support.dia import CPU, DIA5, random_dia, tiny_dia

LAYOUTS = {"multi-axis": multi_axis_views, "flat": flat_views}
SUFFIXES = (".safetensors", ".pth")
HEAD = {"multi-axis": "decoder.logits_dense.weight", "flat": "logits_dense.weight"}
NORM = {"multi-axis": "encoder.norm.weight", "flat": "model.encoder.norm.weight"}


def stored(layout: str) -> dict[str, Tensor]:
    """A whole checkpoint for `tiny_dia()`."""
    return {name: view.contiguous().clone() for name, view in LAYOUTS[layout](random_dia(tiny_dia())).items()}


def write(tensors: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)  # type: ignore[arg-type]  # what is refused may be anything
    else:
        torch.save(tensors, path)
    return path


def load(path: Path, *, dtype: torch.dtype = torch.float32, strict: bool = False) -> DiaModel:
    return load_model(parse_config(tiny_dia()), path, device=CPU, dtype=dtype, strict=strict)


def refusal(path: Path, **options: Any) -> str:
    """The message with which a file is refused: one line that names it."""
    with pytest.raises(CheckpointError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return message.replace(str(path), "FILE")


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model{request.param}"


layouts = pytest.mark.parametrize("layout", LAYOUTS)


# What is stored is what is loaded


@layouts
def test_loaded_values_are_the_stored_ones(layout: str, path: Path) -> None:
    model = load(write(stored(layout), path), strict=True)
    expected = random_dia(tiny_dia()).state_dict()
    state = model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())
    assert not model.training


def test_names_of_the_first_layout_are_the_reference_s() -> None:
    names = {name: list(tensor.shape) for name, tensor in load_file(DIA5 / "model.safetensors").items()}
    config = load_config(DIA5 / "config.json")
    model = load_model(config, DIA5 / "model.safetensors", device=CPU, dtype=torch.float32, strict=True)
    assert {name: list(view.shape) for name, view in multi_axis_views(model).items()} == names


@layouts
def test_every_parameter_is_filled_once(layout: str) -> None:
    model = DiaModel(parse_config(tiny_dia()))
    views = LAYOUTS[layout](model)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        for view in views.values():
            view.add_(1.0)
    assert all(bool((parameter == 1).all()) for parameter in model.parameters())


@layouts
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("into", [torch.float32, torch.bfloat16], ids=str)
def test_any_float_type_is_converted(layout: str, dtype: torch.dtype, into: torch.dtype, path: Path) -> None:
    on_disk = {name: tensor.to(dtype) for name, tensor in stored(layout).items()}
    model = load(write(on_disk, path), dtype=into)
    for name, view in LAYOUTS[layout](model).items():
        assert view.dtype == (torch.float32 if name == HEAD[layout] else into), name
        assert torch.equal(view, on_disk[name].to(view.dtype)), name


# What is refused, by name


@layouts
def test_missing_tensors_are_named(layout: str, path: Path) -> None:
    tensors = stored(layout)
    del tensors[HEAD[layout]]
    assert refusal(write(tensors, path)) == (
        f"FILE lacks tensor '{HEAD[layout]}': is it the checkpoint of this Dia config?"
    )
    del tensors[NORM[layout]]
    first, second = sorted((HEAD[layout], NORM[layout]))
    assert refusal(write(tensors, path)) == (
        f"FILE lacks 2 tensors ('{first}', '{second}'): is it the checkpoint of this Dia config?"
    )


@layouts
def test_unknown_tensors_are_named(layout: str, path: Path) -> None:
    write(stored(layout) | {"extra.weight": torch.zeros(2)}, path)
    with pytest.warns(UserWarning, match="does not know") as caught:
        load(path)
    assert [str(warning.message).replace(str(path), "FILE") for warning in caught] == [
        "FILE has tensor 'extra.weight' that the model does not know; ignored."
    ]
    assert refusal(path, strict=True) == (
        "FILE has tensor 'extra.weight' that the model does not know: leave out --strict to ignore them."
    )


@layouts
def test_a_tensor_of_another_shape_is_named(layout: str, path: Path) -> None:
    tensors = stored(layout)
    name = HEAD[layout]
    shape = list(tensors[name].shape)
    tensors[name] = tensors[name].flatten()[:-1].clone()
    assert refusal(write(tensors, path)) == (
        f"Tensor {name} of FILE has shape [{len(tensors[name])}], the config asks for {shape}."
    )


@layouts
def test_a_tensor_of_no_floats_is_named(layout: str, path: Path) -> None:
    tensors = stored(layout)
    name = NORM[layout]
    tensors[name] = tensors[name].to(torch.int8)
    kind = "I8" if path.suffix == ".safetensors" else "torch.int8"
    assert refusal(write(tensors, path)) == (
        f"Tensor {name} of FILE holds {kind}, not floats: is it a quantised checkpoint?"
    )


def test_no_file(path: Path) -> None:
    assert refusal(path).startswith("There is no weights file FILE: give the path of a ")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\4]q", b"x" * 500])
def test_a_file_that_is_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert refusal(path).startswith(("FILE is not a whole safetensors file (", "FILE is not a file of tensors only ("))


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_file_that_was_cut_off(path: Path, keep: float) -> None:
    whole = write(stored("flat"), path).read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    assert refusal(path).startswith("FILE is not a ")


# Pickles


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("form", ["torch.save", "plain pickle", "old torch.save"])
def test_nothing_in_a_pickle_is_run(form: str, tmp_path: Path) -> None:
    path, made = tmp_path / "model.pth", tmp_path / "made"
    harmful = stored("multi-axis") | {"extra": Harmful(made)}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(harmful))
    else:
        torch.save(harmful, path, _use_new_zipfile_serialization=form == "torch.save")
    message = refusal(path)
    assert message.startswith("FILE is not a file of tensors only (")
    assert message.endswith("); nothing else is unpickled: convert it to safetensors.")
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        [1, 2], "text", torch.zeros(3), {"model": {"a": torch.zeros(1)}}, {"a": 5}, {5: torch.zeros(1)}, None,
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    assert refusal(write(content, tmp_path / "model.pth")) == (
        "FILE holds something other than named tensors: give a state dict of a Dia model."
    )


def test_a_state_dict_of_parameters_is_one(tmp_path: Path) -> None:
    parameters = OrderedDict((name, torch.nn.Parameter(value)) for name, value in stored("flat").items())
    model = load(write(parameters, tmp_path / "model.pt"), strict=True)
    assert all(torch.equal(value, parameters[name]) for name, value in flat_views(model).items())


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("kind", ["sparse", "meta"])
def test_a_tensor_without_its_numbers_is_refused(kind: str, tmp_path: Path) -> None:
    tensors = stored("flat")
    name = HEAD["flat"]
    tensors[name] = tensors[name].to_sparse() if kind == "sparse" else tensors[name].to("meta")
    assert refusal(write(tensors, tmp_path / "model.pth")) == (
        f"Tensor {name} of FILE is not stored number by number: save it as a plain tensor."
    )


# Memory

# Prints how far the memory of the process rose at most while it loaded. Clearing 5 resets the peak.
MEASURE = """
import sys
from pathlib import Path

import torch

from dia.config import load_config
from dia.weights import load_model

def status(key):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024

folder = Path(sys.argv[1])
config = load_config(folder / "config.json")
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
model = load_model(config, folder / "model.safetensors", device=torch.device("cpu"), dtype=torch.bfloat16)
print(status("VmHWM") - before)
assert all(bool((parameter == 0.5).all()) for parameter in model.parameters())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the peak of a process")
@pytest.mark.parametrize("layout", ["multi-axis", pytest.param("flat", marks=pytest.mark.slow)])
def test_loading_peaks_little_above_the_weights(layout: str, tmp_path: Path) -> None:
    """Turned axes and fused matrices included, nothing is built twice."""
    sizes = {"hidden_size": 1024, "intermediate_size": 12288, "num_hidden_layers": 2}
    raw = tiny_dia({f"decoder_config.{name}": size for name, size in sizes.items()})
    with torch.device("meta"):
        model = DiaModel(parse_config(raw), torch.bfloat16)
    halves = {name: torch.full(view.shape, 0.5) for name, view in LAYOUTS[layout](model).items()}
    write(halves, tmp_path / "model.safetensors")  # float32, twice as large as what is loaded
    (tmp_path / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    command = [sys.executable, "-W", "error", "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    size = weight_bytes(model)
    assert size > 150e6  # beside which the pages of torch that loading touches first, some 27 MB, are few
    assert int(done.stdout) <= 1.3 * size


def test_no_warning_while_loading(path: Path) -> None:
    write(stored("flat"), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
