"""What Dia's draws chose among: one draw a channel and script."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dia.generation import GenerationConfig
from dia.sampling import all_or_no_eos, kept_logits, probabilities
from dia2.inspect.record.draws import DrawTable, best_candidates, padded


def draw_table(logits: Tensor, drawn: Tensor, channels: Sequence[int], config: GenerationConfig, eos: int) -> DrawTable:
    """The draws of n steps.

    Args:
        logits: [n, 2B, C, V], for each script unconditional first.
        drawn: [n, B, C].
        channels: whose draws to describe.
        config: in force.
        eos: its id.

    Returns:
        [n, D, …] with D = B · channels, those of the first script first.
    """
    rows = logits.transpose(0, 1)  # [2B, n, C, V]
    uncond, cond = rows[0::2], rows[1::2]
    kept = kept_logits(rows, cfg_scale=config.cfg_scale, keep=config.cfg_filter_top_k, eos=eos)  # [B, n, C, V]
    if config.temperature > 0:
        kept = all_or_no_eos(kept, eos)
        chance = probabilities(kept, config.temperature, config.cfg_filter_top_k, config.top_p)
    else:
        chance = torch.zeros_like(kept).scatter(-1, kept.argmax(dim=-1, keepdim=True), 1.0)
    choice = drawn.transpose(0, 1)  # [B, n, C]
    ids = best_candidates(cond, choice)
    best = cond.gather(-1, ids)
    guided = best + config.cfg_scale * (best - uncond.gather(-1, ids))
    allowed = ~kept.gather(-1, ids).isneginf()
    probability = chance.gather(-1, choice[..., None])[..., 0]
    return padded(DrawTable(*(_columns(part, channels) for part in (ids, best, guided, allowed, choice, probability))))


def _columns(part: Tensor, channels: Sequence[int]) -> Tensor:
    """[B, n, C, …] as [n, B · channels, …]."""
    return part[:, :, list(channels)].transpose(0, 1).flatten(1, 2)
