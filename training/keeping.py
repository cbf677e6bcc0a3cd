"""What a fine-tuning leaves for others: a checkpoint, or a LoRA, of the best step so far."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from dia2.common.checks import read_small
from dia2.common.errors import CheckpointError, Dia2Error, one_line
from dia2.common.files import remove_leftovers
from dia2.common.hashing import hash_path
from dia2.core.model import Dia2Model
from dia2.runtime.assets import codec_folder
from dia2.runtime.context import RuntimeContext
from dia2.runtime.lora_file import merge_lora
from dia2.runtime.weights import load_model
from training.checkpoint import write_checkpoint, write_weights
from training.language_model import LanguageTraining
from training.lora import Lora


class Keeping:
    """Called with a step, writes the network as it is; what was written before is replaced as a whole."""

    def __init__(
        self, runtime: RuntimeContext, training: LanguageTraining, folder: Path, stored: torch.dtype, adapter: Path
    ) -> None:
        """Note what and where.

        Args:
            runtime: of the checkpoint that is trained; the rest of it goes into the new one.
            training: with a part `lora`, if that is what is trained.
            folder: of the checkpoint.
            stored: the dtype of its weights.
            adapter: file of the LoRA.
        """
        self._runtime, self._folder, self._stored, self._adapter = runtime, folder, stored, adapter
        lora = getattr(training, "lora", None)
        self._lora = lora if isinstance(lora, Lora) else None
        self._begun = False
        for place in (folder, adapter.parent):
            remove_leftovers(place)

    def __call__(self, step: int) -> None:
        """Write it.

        Raises:
            Dia2Error: the disk is full.
        """
        try:
            if self._lora is not None:
                self._lora.write(self._adapter, hash_path(self._runtime.assets.weights_path) or "")
            elif self._begun:
                write_weights(self._folder, self._runtime.model, self._stored)
            else:
                self._write(self._runtime.model)
        except OSError as error:
            raise Dia2Error(
                f"The network of step {step} could not be written to {self._folder.parent} ({one_line(error)}): free "
                "some space; the same command goes on."
            ) from error
        self._begun = True

    def merge(self) -> None:
        """Write the checkpoint that the LoRA makes of the one it belongs to, as exactly as that is stored."""
        assets = self._runtime.assets
        if not self._adapter.is_file():
            raise CheckpointError(f"There is no LoRA {self._adapter} to merge: train one.")
        model = load_model(assets.config, assets.weights_path, device=torch.device("cpu"), dtype=torch.float32)
        merge_lora(model, self._adapter, assets.weights_path)
        self._write(model)

    def _write(self, model: Dia2Model) -> None:
        assets = self._runtime.assets
        config = json.loads(read_small(assets.config_path))
        config["assets"] = {"tokenizer": "tokenizer", "mimi": "mimi"}
        mimi = Path(codec_folder(assets.mimi))
        write_checkpoint(self._folder, config, model, self._runtime.tokenizer, mimi, self._stored)
