"""LoRA: low-rank additions that are trained beside a network that stays as it is.

Ours, not `peft`'s: that replaces modules, which would change the names in a state dict, and knows no part of a matrix,
which queries, keys and values are here. A hook on each matrix leaves the network as it is, a checkpoint loads a LoRA
without another library, and torch's parametrisations would make every changed matrix anew in each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.core.lora import KINDS, Target, targets
from dia2.core.model import Dia2Model
from dia2.runtime.lora_file import LARGEST_RANK, PARTS, LoraFacts, write_lora


class Pair(nn.Module):
    """The two matrices of one target; the second begins at zero, so that nothing is changed before the first step."""

    def __init__(self, target: Target, rank: int) -> None:
        super().__init__()
        out, into = target.weight.shape
        device = target.weight.device
        self.lora_A = nn.Parameter(torch.empty(rank, into, device=device))
        self.lora_B = nn.Parameter(torch.zeros(out, rank, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """What is added to the product of `x` [..., in], but for the scale: [..., out]."""
        return F.linear(F.linear(x, self.lora_A.to(x.dtype)), self.lora_B.to(x.dtype))


class Lora(nn.Module):
    """All additions to a network, which are in force as soon as this is made."""

    def __init__(self, model: Dia2Model, rank: int, alpha: float, kinds: Sequence[str], seed: int = 0) -> None:
        """Freeze the network and hook the additions to its matrices.

        Args:
            model: the network; its weights stay as they are, in whatever precision.
            rank: of each addition.
            alpha: `lora_alpha`: the additions are multiplied by it, and divided by the rank.
            kinds: of targets, see `dia2.core.lora.KINDS`.
            seed: of the first of the two matrices.

        Raises:
            UsageError: there is no such rank or kind.
        """
        super().__init__()
        check_lora(rank, alpha, kinds)
        self.rank, self.alpha, self.kinds = rank, alpha, tuple(kinds)
        model.requires_grad_(False)
        self._targets = targets(model, kinds)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.pairs = nn.ModuleList(Pair(target, rank) for target in self._targets.values())
        by_module: dict[nn.Module, list[tuple[slice, nn.Module]]] = {}
        for target, pair in zip(self._targets.values(), self.pairs, strict=True):
            by_module.setdefault(target.module, []).append((target.rows, pair))
        for module, parts in by_module.items():
            module.register_forward_hook(_Adding(parts, alpha / rank))

    def tensors(self) -> dict[str, Tensor]:
        """By the names that they have in a file."""
        found: dict[str, Tensor] = {}
        for name, pair in zip(self._targets, self.pairs, strict=True):
            for part, matrix in zip(PARTS, ("lora_A", "lora_B"), strict=True):
                found[f"{name}.{part}"] = pair.get_parameter(matrix)
        return found

    def write(self, path: Path, base: str) -> None:
        """Write the additions to `path`; `base` is the hash of the weights file that they belong to."""
        write_lora(path, LoraFacts(base, self.rank, float(self.alpha), self.kinds), self.tensors())


class _Adding:
    """A hook that adds to what a matrix gives."""

    def __init__(self, parts: Sequence[tuple[slice, nn.Module]], scale: float) -> None:
        self._parts, self._scale = parts, scale

    def __call__(self, module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        """`out` [..., out], with the additions to its columns."""
        for rows, pair in self._parts:
            out[..., rows] += self._scale * pair(given[0])
        return out


def check_lora(rank: int, alpha: float, kinds: Sequence[str]) -> None:
    """Refuse what is no LoRA.

    Raises:
        UsageError: says what can be.
    """
    if not 1 <= rank <= LARGEST_RANK:
        raise UsageError(f"--lora {rank} is no rank: choose 1 to {LARGEST_RANK}.")
    if not (math.isfinite(alpha) and alpha > 0):
        raise UsageError(f"--lora-alpha {alpha} is no scale: choose a number above 0.")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"--lora-on knows no {short(unknown[0])}: choose from {','.join(KINDS)}.")
    if not kinds or len({*kinds}) < len(kinds):
        raise UsageError(f"--lora-on names the matrices, each once: choose from {','.join(KINDS)}.")
