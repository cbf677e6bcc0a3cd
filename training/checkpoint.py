"""A trained network as a checkpoint in the published format, as `Dia2.from_local` takes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

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
    weights = {name: tensor.detach().to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / "model.safetensors") as temporary:
        save_file(weights, temporary)
    tokenizer.save_pretrained(folder / "tokenizer")
    shutil.copytree(mimi, folder / "mimi", dirs_exist_ok=True)
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors makes them private; a checkpoint is for everybody
