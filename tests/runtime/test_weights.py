"""Weights are loaded whole or not at all, exactly, and in little more memory than they take."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dia2.common.errors import CheckpointError
from dia2.core.config import load_config, parse_config
from dia2.core.model import Dia2Model
from dia2.runtime.weights import load_model, weight_bytes

from ..support.models import random_model, tiny_config
from ..support.safetensors_file import joined, taken_apart

CPU = torch.device("cpu")
TINY8 = Path(__file__).parents[1] / "conformance" / "tiny8"
NORM = "transformer.norm.weight"


def load(path: Path, *, raw: object = None, dtype: torch.dtype = torch.float32, strict: bool = False) -> Dia2Model:
    return load_model(parse_config(raw or tiny_config()), path, device=CPU, dtype=dtype, strict=strict)


def refusal(path: Path, **options: Any) -> str:
    """The message with which a file is refused: one line that names it."""
    with pytest.raises(CheckpointError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """A whole checkpoint for `tiny_config()`."""
    return {name: tensor.detach().clone() for name, tensor in random_model(tiny_config()).state_dict().items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# What is stored is what is loaded


@pytest.mark.parametrize("strict", [False, True])
def test_loaded_values_are_the_stored_ones(tensors: dict[str, Tensor], path: Path, strict: bool) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
    model = load(path, strict=strict)
    state = model.state_dict()
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[name], tensors[name]) for name in tensors)
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())
    assert not model.training


@pytest.mark.parametrize("stored", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_any_float_type_is_converted(
    tensors: dict[str, Tensor], path: Path, stored: torch.dtype, dtype: torch.dtype
) -> None:
    on_disk = {name: tensor.to(stored) for name, tensor in tensors.items()}
    save_file(on_disk, path)
    for name, tensor in load(path, dtype=dtype).state_dict().items():
        head = "_head." in name or ".logits." in name
        assert tensor.dtype == (torch.float32 if head else dtype), name
        assert torch.equal(tensor, on_disk[name].to(tensor.dtype)), name


def test_types_may_be_mixed_in_one_file(tensors: dict[str, Tensor], path: Path) -> None:
    tensors[NORM] = tensors[NORM].half()
    save_file(tensors, path)
    assert torch.equal(load(path).state_dict()[NORM], tensors[NORM].float())


def test_weights_do_not_depend_on_the_file_once_loaded(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, path)
    model = load(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())


def test_a_reference_checkpoint_loads_strictly() -> None:
    config = load_config(TINY8 / "config.json")
    model = load_model(config, TINY8 / "model.safetensors", device=CPU, dtype=torch.float32, strict=True)
    stored = load_file(TINY8 / "model.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())
    assert weight_bytes(model) == sum(tensor.nbytes for tensor in stored.values())


# Names, shapes and types


def test_a_missing_tensor_is_named(tensors: dict[str, Tensor], path: Path) -> None:
    del tensors[NORM]
    save_file(tensors, path)
    assert refusal(path).endswith(f"lacks tensor '{NORM}': is it the checkpoint of this config?")


def test_missing_tensors_are_counted_and_the_first_named(tensors: dict[str, Tensor], path: Path) -> None:
    gone = sorted(name for name in tensors if name.startswith("transformer.layers.1."))
    save_file({name: tensor for name, tensor in tensors.items() if name not in gone}, path)
    message = refusal(path)
    assert f"lacks {len(gone)} tensors ('{gone[0]}', '{gone[1]}', " in message
    assert ", …)" in message
    assert gone[5] not in message


@pytest.mark.parametrize("shape", [(21,), (20, 1), (1, 20), (), (0,), (4, 5)], ids=str)
def test_a_wrong_shape_is_told_with_the_right_one(
    tensors: dict[str, Tensor], path: Path, shape: tuple[int, ...]
) -> None:
    save_file(tensors | {NORM: torch.zeros(shape)}, path)
    message = refusal(path)
    assert f"Tensor {NORM} of " in message
    assert f"has shape {list(shape)}, the config asks for [20]." in message


def test_a_transposed_matrix_is_refused(tensors: dict[str, Tensor], path: Path) -> None:
    name = "transformer.layers.0.mlp.wo.weight"
    save_file(tensors | {name: tensors[name].T.contiguous()}, path)
    assert "has shape [28, 20], the config asks for [20, 28]." in refusal(path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn], ids=str)
def test_a_quantised_tensor_is_refused(tensors: dict[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    save_file(tensors | {NORM: torch.ones(20).to(dtype)}, path)
    message = refusal(path)
    assert f"Tensor {NORM} of " in message
    assert "not floats: is it a quantised checkpoint?" in message


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        (["lora.weight"], "tensor 'lora.weight'"),
        (["b", "a"], "2 tensors ('a', 'b')"),
        ([f"x{n}" for n in range(7)], "7 tensors ('x0', 'x1', 'x2', 'x3', 'x4', …)"),
        (["a\nb\x1b[31m"], r"tensor 'a\nb\x1b[31m'"),
    ],
    ids=["one", "two", "many", "hostile"],
)
def test_unknown_tensors_are_warned_about_and_strictly_refused(
    tensors: dict[str, Tensor], path: Path, unknown: list[str], told: str
) -> None:
    save_file(tensors | {name: torch.zeros(1) for name in unknown}, path)
    with pytest.warns(UserWarning, match="that the model does not know") as caught:
        model = load(path)
    assert [str(warning.message) for warning in caught] == [f"{path} has {told} that the model does not know; ignored."]
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # strict: an error and no warning besides
        assert refusal(path, strict=True).endswith(
            f"has {told} that the model does not know: leave out --strict to ignore them."
        )


def test_an_unknown_tensor_may_be_of_any_type(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors | {"counter": torch.zeros(3, dtype=torch.int64)}, path)
    with pytest.warns(UserWarning, match="tensor 'counter' that the model does not know; ignored"):
        load(path)


def test_another_config_s_checkpoint_is_refused() -> None:
    assert "is it the checkpoint of this config?" in refusal(
        TINY8 / "model.safetensors", raw=tiny_config({"model.decoder.n_layer": 5})
    )


# Damaged files


class Parts(NamedTuple):
    """A safetensors file, taken apart."""

    header: dict[str, Any]
    body: bytes

    def join(self, header: dict[str, Any] | bytes | None = None) -> bytes:
        return joined(header or self.header, self.body)


def take_apart(content: bytes) -> Parts:
    return Parts(*taken_apart(content))


def with_entry(**changes: object) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        parts = take_apart(content)
        return parts.join(parts.header | {NORM: parts.header[NORM] | changes})

    return damage


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "a few bytes": lambda content: b"abc",
    "random bytes": lambda content: torch.randint(0, 256, (5000,)).to(torch.uint8).numpy().tobytes(),
    "zeros": lambda content: b"\0" * 5000,
    "a web page": lambda content: b"<!doctype html><html><body>404</body></html>" * 20,
    "the data cut short": lambda content: content[:-100],
    "the header cut short": lambda content: content[:100],
    "only the length": lambda content: content[:8],
    "bytes at the end": lambda content: content + b"\0" * 8,
    "a header of 2^60 bytes": lambda content: struct.pack("<Q", 1 << 60) + content[8:],
    "a header longer than the file": lambda content: struct.pack("<Q", 50_000_000) + content[8:],
    "a header that is no JSON": lambda content: take_apart(content).join(b"{" * 64),
    "a header that is a list": lambda content: take_apart(content).join(b"[]"),
    "a header nested deeply": lambda content: take_apart(content).join(b'{"a":' * 50_000),
    "an offset beyond the file": with_entry(data_offsets=[0, 1 << 62]),
    "a shape beyond the data": with_entry(shape=[1 << 40]),
    "a negative shape": with_entry(shape=[-1]),
    "a shape that is no list": with_entry(shape="20\n20"),
    "an unknown type": with_entry(dtype="Q7"),
    "a type over two lines": with_entry(dtype="Q7\nfake: all is well"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused(tensors: dict[str, Tensor], path: Path, damage: Callable[[bytes], bytes]) -> None:
    torch.manual_seed(0)
    save_file(tensors, path)
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(path)
    assert "is not a whole safetensors file (" in message
    assert message.endswith("): download it again.")


def test_a_missing_file_is_named(path: Path) -> None:
    assert refusal(path) == f"There is no weights file {path}: give the path of a safetensors file."


def test_a_folder_is_no_weights_file(tmp_path: Path) -> None:
    assert "is not a whole safetensors file" in refusal(tmp_path)


def test_a_pickle_is_not_opened(tensors: dict[str, Tensor], path: Path) -> None:
    torch.save(tensors, path)
    assert "is not a whole safetensors file" in refusal(path)


def test_a_config_of_impossible_size_is_refused_before_anything_is_allocated() -> None:
    size = 1 << 24  # each of these may be so large, their product overflows
    sizes = {f"model.decoder.{name}": size for name in ("n_embd", "gqa_query_heads", "kv_heads", "gqa_head_dim")}
    with pytest.raises(CheckpointError):
        load(TINY8 / "model.safetensors", raw=tiny_config(sizes))


# Memory

# Prints for each dtype how far the peak rose while loading, and the bytes of the weights. Clearing 5 resets the peak.
MEASURE = """
import json, sys
from pathlib import Path

import torch

from dia2.core.config import parse_config
from dia2.runtime.weights import load_model, weight_bytes

def status(key):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024

folder = Path(sys.argv[1])
config = parse_config(json.loads((folder / "config.json").read_text()))
for dtype in sys.argv[2:]:
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    model = load_model(config, folder / "model.safetensors", device=torch.device("cpu"), dtype=getattr(torch, dtype))
    rise = status("VmHWM") - before
    assert all(bool((parameter == 0.5).all()) for parameter in model.parameters())
    print(json.dumps([dtype, rise, weight_bytes(model)]))
    del model
"""


@pytest.fixture(scope="module")
def large_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """345 MB of float32: a quarter in the text table, the rest in many layers, much as in the published files."""
    folder = tmp_path_factory.mktemp("large")
    raw = tiny_config(
        {
            "data.text_vocab_size": 30_000,
            "data.audio_vocab_size": 1000,
            "data.audio_pad_token_id": 999,
            "data.audio_bos_token_id": 998,
            "model.decoder.n_layer": 10,
            "model.decoder.n_embd": 640,
            "model.decoder.n_hidden": 2400,
            "model.decoder.gqa_head_dim": 160,
            "model.decoder.low_rank_dim": None,
            "model.depformer.n_layer": 2,
            "model.depformer.n_embd": 320,
            "model.depformer.n_hidden": 1000,
            "model.depformer.text_embedding": False,
        }
    )
    (folder / "config.json").write_text(json.dumps(raw))
    with torch.device("meta"):
        model = Dia2Model(parse_config(raw))
    save_file(
        {name: torch.full(tensor.shape, 0.5) for name, tensor in model.state_dict().items()},
        folder / "model.safetensors",
    )
    assert (folder / "model.safetensors").stat().st_size > 300e6
    return folder


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can reset the peak of a process")
def test_loading_peaks_little_above_the_weights(large_checkpoint: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", MEASURE, str(large_checkpoint), "bfloat16", "float32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    rises = [json.loads(line) for line in done.stdout.splitlines()]
    assert [dtype for dtype, *_ in rises] == ["bfloat16", "float32"]
    assert [size > bound for (_, _, size), bound in zip(rises, (150e6, 300e6), strict=True)] == [True, True]
    ratios = {dtype: round(rise / size, 3) for dtype, rise, size in rises}
    assert all(0.5 < ratio <= 1.15 for ratio in ratios.values()), ratios  # the second finds some memory already there
