"""A LoRA as a file: low-rank additions for one checkpoint, put into its weights once, when they are loaded.

Safetensors: for each target `NAME.lora_A.weight` [r, in] and `NAME.lora_B.weight` [out, r], and in the header's
metadata what `peft` has in `adapter_config.json` (`r`, `lora_alpha`, `target_modules`), the format's name, and the
SHA-256 of the weights file to which they were fitted. A file may come from anywhere: nothing in it is believed before
it was checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dia2.common.checks import is_number, short
from dia2.common.errors import CheckpointError, one_line
from dia2.common.files import replacing
from dia2.common.hashing import hash_path
from dia2.common.rust import RustPanicError, calling_rust
from dia2.common.tensor_file import FLOATS, StoredTensors
from dia2.core.lora import KINDS, Target, add, targets
from dia2.core.model import Dia2Model

FORMAT = "dia2-lora-1"
LARGEST_RANK = 4096
PARTS = ("lora_A.weight", "lora_B.weight")


@dataclass(frozen=True)
class LoraFacts:
    """What a LoRA's file says of itself."""

    base: str  # SHA-256 of the weights file
    rank: int
    alpha: float
    kinds: tuple[str, ...]  # of targets, see `dia2.core.lora.KINDS`

    @property
    def scale(self) -> float:
        """By which the products are multiplied."""
        return self.alpha / self.rank


def write_lora(path: Path, facts: LoraFacts, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, named as above, with what they are; the file is there as a whole or not at all."""
    metadata = {
        "format": FORMAT,
        "base_weights": facts.base,
        "r": str(facts.rank),
        "lora_alpha": repr(facts.alpha),
        "target_modules": json.dumps(list(facts.kinds)),
    }
    with replacing(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    path.chmod(0o644)  # safetensors makes it private


def merge_lora(model: Dia2Model, path: Path, weights: Path) -> LoraFacts:
    """Put a LoRA's additions into the weights of `model`, which then are what they are: a run has nothing more to do.

    Args:
        model: filled from `weights`, and not quantised.
        path: of the LoRA.
        weights: the file whose hash it must name.

    Raises:
        CheckpointError: it is no LoRA of Dia2, is damaged, or belongs to other weights.
    """
    with StoredTensors(path) as stored:
        facts = read_facts(path)
        wanted = targets(model, facts.kinds)
        _check(stored, facts, wanted)
        if hash_path(weights) != facts.base:
            raise CheckpointError(
                f"LoRA {path} was fitted to other weights than {weights}: give the checkpoint that it was made from."
            )
        for name, target in wanted.items():
            parts = []
            for part in PARTS:
                tensor = torch.empty(stored.entries[f"{name}.{part}"].shape)
                stored.copy(f"{name}.{part}", tensor)
                parts.append(tensor)
            if not add(target, parts[0], parts[1], facts.scale):  # what is not finite in a part is not in the sum
                raise CheckpointError(f"LoRA {path} has numbers for {name} that are not finite: train it again.")
    return facts


def read_facts(path: Path) -> LoraFacts:
    """What the header says.

    Raises:
        CheckpointError: it is not that of a LoRA of Dia2.
    """
    try:
        with calling_rust(), safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
    except (SafetensorError, RustPanicError, OSError) as error:
        raise CheckpointError(f"LoRA {path} cannot be read ({one_line(error)}): download it again.") from error
    if found.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is no LoRA of Dia2 ({FORMAT}): give a file that python -m training.finetune --lora has written."
        )
    try:
        rank, alpha = int(found["r"]), float(found["lora_alpha"])
        kinds = json.loads(found["target_modules"])
        base = found["base_weights"]
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The header of LoRA {path} is damaged ({one_line(error)}): download it again."
        ) from error
    if not 1 <= rank <= LARGEST_RANK or not is_number(alpha):
        raise CheckpointError(f"LoRA {path} has r {short(rank)} and lora_alpha {short(alpha)}: download it again.")
    if not isinstance(kinds, list) or not kinds or any(kind not in KINDS for kind in kinds):
        raise CheckpointError(f"LoRA {path} has target_modules {short(kinds)}: there are {', '.join(KINDS)}.")
    return LoraFacts(base, rank, alpha, tuple(kinds))


def _check(stored: StoredTensors, facts: LoraFacts, wanted: Mapping[str, Target]) -> None:
    """Refuse a file that does not have exactly the tensors that the targets want.

    Raises:
        CheckpointError: names the first that is wrong.
    """
    shapes = {}
    for name, target in wanted.items():
        out, into = target.weight.shape
        shapes[f"{name}.{PARTS[0]}"], shapes[f"{name}.{PARTS[1]}"] = (facts.rank, into), (out, facts.rank)
    for name in sorted(shapes.keys() ^ stored.entries.keys()):
        has = "lacks" if name in shapes else "has"
        raise CheckpointError(f"LoRA {stored.path} {has} tensor {short(name)}: it does not fit this checkpoint.")
    for name, shape in shapes.items():
        entry = stored.entries[name]
        if entry.shape != shape or entry.dtype not in FLOATS:
            raise CheckpointError(
                f"Tensor {name} of LoRA {stored.path} is {entry.dtype} {short(list(entry.shape))}, this checkpoint "
                f"asks for floats {list(shape)}: give the checkpoint that it was made from."
            )
