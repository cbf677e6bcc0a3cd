"""What Dia2's draws chose among: the action, and a code of each codebook."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dia2.adapter.layout import draw_names
from dia2.generation import GenerationConfig, SamplingConfig
from dia2.inspect.record.draws import DrawTable, best_candidates, padded
from dia2.inspect.schema.draw import Candidate, Draw
from dia2.runtime.guidance import filter_guided, forbid_specials, guide
from dia2.runtime.observed import Frames

__all__ = ["Candidate", "Draw", "choice_probabilities", "draw_names", "draw_table", "filtered"]


def filtered(name: str, logits: Tensor, config: GenerationConfig, specials: Tensor) -> Tensor:
    """Logits [..., V] that a draw is made from, −∞ or the lowest float where a token is ruled out.

    Args:
        name: action, cb0, or dep.k.
        logits: [B, ..., V].
        config: in force at these calls.
        specials: [audio vocabulary] bool, forbidden for cb0.
    """
    kept = filter_guided(logits, config.cfg_scale, config.cfg_filter_k)
    return forbid_specials(kept, logits[0], specials) if name == "cb0" else kept


def choice_probabilities(kept: Tensor, choice: Tensor, sampling: SamplingConfig) -> Tensor:
    """Probability [...] of `choice` [...] in draws from `kept` [..., V]; argmax makes it 1 or 0.

    What `sampler.probabilities` gives, for one token only: nothing as wide as the vocabulary is built.
    """
    if sampling.temperature <= 0:
        return (kept.argmax(dim=-1) == choice).float()
    own = kept.gather(-1, choice[..., None])[..., 0]
    best = kept
    if 0 < sampling.top_k < kept.shape[-1]:
        best = kept.topk(sampling.top_k, sorted=False).values
    among_best = own >= best.amin(dim=-1)  # a forced token need not be
    chance = (own / sampling.temperature - (best / sampling.temperature).logsumexp(dim=-1)).exp()
    return torch.where(among_best, chance, 0.0)


def draw_table(frames: Frames, names: Sequence[str], specials: Tensor) -> DrawTable:
    """The draws called `names` of finished calls of the main loop."""
    assert frames.codes is not None, "warm-up draws nothing"
    config, parts = frames.config, []
    if "action" in names:
        actions = torch.tensor([row.action for row in frames.machine])[:, None]
        parts.append(table_of("action", frames.logits["action"].transpose(0, 1)[:, :, None], actions, config, specials))
    if "cb0" in names:
        logits = frames.logits["cb0"].transpose(0, 1)[:, :, None]  # [B, n, 1, V]
        parts.append(table_of("cb0", logits, frames.codes[:, :1], config, specials))
    stages = [int(name.removeprefix("dep.")) - 1 for name in names if name.startswith("dep.")]
    if stages:
        logits = frames.logits["dep"]  # [n, K-1, B, codes]
        if len(stages) < logits.shape[1]:
            logits = logits[:, stages]
        choice = frames.codes[:, [stage + 1 for stage in stages]]
        parts.append(table_of("dep", logits.permute(2, 0, 1, 3), choice, config, specials))
    return DrawTable(*(torch.cat(column, dim=1) for column in zip(*parts, strict=True)))


def table_of(name: str, logits: Tensor, choice: Tensor, config: GenerationConfig, specials: Tensor) -> DrawTable:
    """Draws over one vocabulary: `logits` [B, n, d, V], `choice` [n, d]."""
    sampling = config.text if name == "action" else config.audio
    cond = logits[0]
    kept = filtered(name, logits, config, specials)
    ids = best_candidates(cond, choice)
    best = cond.gather(-1, ids)
    guided = best
    if logits.shape[0] > 1 and config.cfg_scale != 1.0:
        guided = guide(torch.stack((best, logits[1].gather(-1, ids))), config.cfg_scale)
    allowed = kept.gather(-1, ids) > torch.finfo(kept.dtype).min
    probability = choice_probabilities(kept, choice, sampling)
    return padded(DrawTable(ids, best, guided, allowed, choice, probability))
