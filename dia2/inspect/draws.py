"""What a draw chose among: the best candidates before and after guidance, and how likely the choice was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dia2.brief import brief_repr
from dia2.core.ambient import isolated
from dia2.generation import GenerationConfig, SamplingConfig
from dia2.hooks import Frames
from dia2.runtime.guidance import filter_guided, forbid_specials, guide

BEST = 16  # candidates kept of each draw


def draw_names(codebooks: int) -> list[str]:
    """The draws of a frame in their order: action, cb0, dep.1 … dep.K-1."""
    return ["action", "cb0", *(f"dep.{k}" for k in range(1, codebooks))]


def draw_codebook(name: str) -> int:
    """The codebook that a draw is of: cb0 → 0, dep.3 → 3."""
    return 0 if name == "cb0" else int(name.removeprefix("dep."))


@dataclass(frozen=True)
class Candidate:
    """One token that might have been drawn."""

    token: int
    cond: float  # conditional logit
    guided: float  # guided logit; the conditional one where guidance is off
    kept: bool  # guidance, and for codebook 0 the ban on pad and BOS, leave it in the draw


@dataclass(frozen=True)
class Draw:
    """One draw."""

    __repr__ = brief_repr

    name: str  # action, cb0, dep.1 …
    choice: int
    probability: float  # of the choice, after guidance, temperature and top-k
    candidates: list[Candidate]  # the most likely ones by conditional logit; the choice is always among them


class DrawTable(NamedTuple):
    """Draws of n calls, D of each; missing candidates have id −1."""

    ids: Tensor  # [n, D, 16] int64
    cond: Tensor  # [n, D, 16] float32
    guided: Tensor  # [n, D, 16] float32
    kept: Tensor  # [n, D, 16] bool
    choice: Tensor  # [n, D] int64
    probability: Tensor  # [n, D] float32

    def draw(self, row: int, column: int, name: str) -> Draw:
        """One cell as an object."""
        ids, cond = self.ids[row, column].tolist(), self.cond[row, column].tolist()
        guided, kept = self.guided[row, column].tolist(), self.kept[row, column].tolist()
        candidates = [
            Candidate(token, c, g, bool(k))
            for token, c, g, k in zip(ids, cond, guided, kept, strict=True)
            if token >= 0
        ]
        return Draw(name, int(self.choice[row, column]), float(self.probability[row, column]), candidates)


def pack_kept(kept: Tensor) -> Tensor:
    """[..., 16] bool as [...] int32: bit i is candidate i."""
    return (kept.int() << torch.arange(BEST, dtype=torch.int32)).sum(dim=-1, dtype=torch.int32)


def unpack_kept(bits: np.ndarray) -> np.ndarray:
    """What `pack_kept` made, [...] as [..., 16] bool."""
    return (bits[..., None] >> np.arange(BEST) & 1).astype(bool)


@isolated()
def stored_draws(columns: Mapping[str, np.ndarray], names: Sequence[str], choice: Sequence[int]) -> list[Draw]:
    """One call's draws from the columns `draw.*` of that call, [D, …] each; none if they are not there.

    Args:
        columns: by name, as a shard has them.
        names: of the D draws.
        choice: [D] what was drawn.
    """
    if "draw.ids" not in columns:
        return []
    table = DrawTable(
        *(
            torch.from_numpy(np.ascontiguousarray(part))[None]
            for part in (
                columns["draw.ids"].astype(np.int64),
                columns["draw.cond"],
                columns["draw.guided"],
                unpack_kept(columns["draw.kept"]),
                np.array(choice),
                columns["draw.probability"],
            )
        )
    )
    return [table.draw(0, column, name) for column, name in enumerate(names)]


def draw_columns(table: DrawTable) -> dict[str, Tensor]:
    """The columns `draw.*` of a shard."""
    return {
        "draw.ids": table.ids.int(),
        "draw.cond": table.cond,
        "draw.guided": table.guided,
        "draw.kept": pack_kept(table.kept),
        "draw.probability": table.probability,
    }


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
        parts.append(_group("action", frames.logits["action"].transpose(0, 1)[:, :, None], actions, config, specials))
    if "cb0" in names:
        logits = frames.logits["cb0"].transpose(0, 1)[:, :, None]  # [B, n, 1, V]
        parts.append(_group("cb0", logits, frames.codes[:, :1], config, specials))
    stages = [int(name.removeprefix("dep.")) - 1 for name in names if name.startswith("dep.")]
    if stages:
        logits = frames.logits["dep"]  # [n, K-1, B, codes]
        if len(stages) < logits.shape[1]:
            logits = logits[:, stages]
        choice = frames.codes[:, [stage + 1 for stage in stages]]
        parts.append(_group("dep", logits.permute(2, 0, 1, 3), choice, config, specials))
    return DrawTable(*(torch.cat(column, dim=1) for column in zip(*parts, strict=True)))


def _group(name: str, logits: Tensor, choice: Tensor, config: GenerationConfig, specials: Tensor) -> DrawTable:
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


def best_candidates(cond: Tensor, choice: Tensor) -> Tensor:
    """Ids [..., at most 16] of the best of `cond` [..., V]; the last gives way to `choice` [...] if that is none."""
    ids = cond.topk(min(BEST, cond.shape[-1])).indices
    missing = (ids != choice[..., None]).all(dim=-1)
    ids[..., -1] = torch.where(missing, choice, ids[..., -1])
    return ids


def padded(table: DrawTable) -> DrawTable:
    """The same with 16 candidates a draw, id −1 where there are fewer."""
    room = BEST - table.ids.shape[-1]
    if not room:
        return table
    cond, guided, kept = (nn.functional.pad(part, (0, room)) for part in (table.cond, table.guided, table.kept))
    return table._replace(ids=nn.functional.pad(table.ids, (0, room), value=-1), cond=cond, guided=guided, kept=kept)
