"""Edits of activations for the test checkpoints: strong enough that a run with them is another run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dia2 import Ablate, Clamp, Dia2, Patch, Steer, Where


def vector(
    tts: Dia2, *rows: int, seed: int = 1, heads: bool = False, size: float = 3.0, depformer: bool = False
) -> Tensor:
    """[*rows, width] of an activation, drawn by a seed."""
    model = tts.runtime.config.model
    block = model.depformer if depformer else model.decoder
    width = block.gqa_query_heads * block.gqa_head_dim if heads else block.n_embd
    return size * torch.randn(*rows, width, generator=torch.Generator().manual_seed(seed))


def of_each_kind(tts: Dia2, first: int = 0) -> list[Any]:
    """Edits of all kinds, in calls from `first` on."""

    def dep(*rows: int, seed: int, heads: bool = False) -> Tensor:
        return vector(tts, *rows, seed=seed, heads=heads, depformer=True)

    last = len(tts.runtime.config.weights_schedule) - 1
    return [
        Steer("act.1.resid", vector(tts), 0.5, Where(speakers=(1,))),
        Steer("act.embed", vector(tts, seed=2), -0.5, Where(branches="conditional", words=(1, 2, 3))),
        Ablate("act.0.heads", heads=(1,), where=Where(calls=(first + 2, first + 9))),
        Ablate("act.0.mlp", vector(tts, seed=3), where=Where(calls=(first + 4, first + 6))),
        Patch("act.1.attn", vector(tts, 5, seed=4), first + 3),
        Patch("act.1.heads", vector(tts, 4, seed=5, heads=True), first + 1, heads=(0,)),
        Clamp("act.1.resid", vector(tts, seed=6), 2.0, Where(branches="unconditional")),
        Clamp("act.hidden", vector(tts, seed=7), -1.0, Where(calls=(first, first + 12))),
        Steer("act.dep.0.resid", dep(seed=9), 0.5, Where(stages=(0, last))),
        Ablate("act.dep.0.heads", heads=(1,), where=Where(calls=(first, first + 9))),
        Patch("act.dep.0.heads", dep(4, seed=10, heads=True), first + 5, heads=(0,), where=Where(stages=(1,))),
        Clamp("act.dep.0.resid", dep(seed=11), 2.0, Where(speakers=(2,), branches="conditional")),
        Steer(
            "act.0.resid", vector(tts, seed=8), 0.5, Where(after={"action": "new_word", "forced_padding": (None, 2)})
        ),
    ]
