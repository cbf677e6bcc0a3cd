"""A trained network as a checkpoint in the published format, as `Dia2.from_local` takes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from dia2.common.errors import Dia2Error, one_line
from dia2.common.files import replacing, write_atomically
from dia2.core.config import parse_config
from dia2.core.model import Dia2Model
from training.streams import Language


def language_of(config: dict[str, Any], tokenizer: Any) -> Language:
    """Config and tokenizer, put together as the runtime does."""
    from dia2.runtime.context import token_ids

    parsed = parse_config(config)
    return Language(parsed, lambda text: tokenizer.encode(text, add_special_tokens=False), token_ids(parsed, tokenizer))


def write_checkpoint(
    folder: Path, config: dict[str, Any], model: Dia2Model, tokenizer: Any, mimi: Path, dtype: torch.dtype
) -> None:
    """Write config, weights in `dtype`, tokenizer and codec to `folder`.

    Args:
        folder: of the checkpoint; files of the same name are replaced.
        config: the content of `config.json`.
        model: the network.
        tokenizer: in Hugging Face's form.
        mimi: the codec's folder, which is copied.
        dtype: in which weights are stored.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    write_weights(folder, model, dtype)
    tokenizer.save_pretrained(folder / "tokenizer")
    shutil.copytree(mimi, folder / "mimi", dirs_exist_ok=True)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors makes them private; a checkpoint is for everybody


def write_weights(folder: Path, model: Dia2Model, dtype: torch.dtype) -> None:
    """Write the weights alone: of a checkpoint that is there, other ones.

    Raises:
        Dia2Error: the disk is full; what was there stays.
    """
    weights = {name: tensor.detach().to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    path = folder / "model.safetensors"
    try:
        with replacing(path) as temporary:
            save_file(weights, temporary)
    except (OSError, SafetensorError) as error:
        raise Dia2Error(f"{path} could not be written ({one_line(error)}): free some space.") from error
    path.chmod(0o644)
