"""What a draw chose among: the best candidates before and after guidance, and how likely the choice was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dia2.common.brief import brief_repr

BEST = 16  # candidates kept of each draw


@dataclass(frozen=True)
class Candidate:
    """One token that might have been drawn."""

    token: int
    cond: float  # conditional logit
    guided: float  # guided logit; the conditional one where guidance is off
    kept: bool  # guidance, and what the model forbids there, leave it in the draw


@dataclass(frozen=True)
class Draw:
    """One draw."""

    __repr__ = brief_repr

    name: str  # as the family's hook points name it: action, cb0, dep.1 …, channel.0 …
    choice: int
    probability: float  # of the choice, after guidance, temperature, top-k and top-p
    candidates: list[Candidate]  # the most likely ones by conditional logit; the choice is always among them


def unpack_kept(bits: np.ndarray) -> np.ndarray:
    """Bit i of [...] int32 as candidate i of [..., 16] bool."""
    return (bits[..., None] >> np.arange(BEST) & 1).astype(bool)


def stored_draws(columns: Mapping[str, np.ndarray], names: Sequence[str], choice: Sequence[int]) -> list[Draw]:
    """One call's draws from the columns `draw.*` of that call, [D, …] each; none if they are not there.

    Args:
        columns: by name, as a shard has them.
        names: of the D draws.
        choice: [D] what was drawn.
    """
    if "draw.ids" not in columns:
        return []
    ids, cond, guided = (columns[f"draw.{name}"].tolist() for name in ("ids", "cond", "guided"))
    kept, probability = unpack_kept(columns["draw.kept"]).tolist(), columns["draw.probability"].tolist()
    return [
        Draw(name, int(choice[d]), probability[d], candidates(ids[d], cond[d], guided[d], kept[d]))
        for d, name in enumerate(names)
    ]


def candidates(
    ids: Sequence[int], cond: Sequence[float], guided: Sequence[float], kept: Sequence[bool]
) -> list[Candidate]:
    """Those of one draw, [16] each; an id of −1 is none."""
    rows = zip(ids, cond, guided, kept, strict=True)
    return [Candidate(token, c, g, k) for token, c, g, k in rows if token >= 0]
