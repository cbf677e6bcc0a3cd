"""What a draw chose among: the best candidates before and after guidance, and how likely the choice was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dia2.common.brief import brief_repr
from dia2.common.hooks import numbered

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


@dataclass(frozen=True)
class DrawKind:
    """Draws of one kind, as a family declares them."""

    pattern: str  # their names: `action`, `cb0`, `dep.{k}` for codebooks from 1, `channel.{c}` for those from 0
    column: str  # that has what was chosen: [calls], or [calls, …, codebooks]
    replaced: str | None = None  # the column of what stands there instead, where a prompt or a countdown overrules it
    temperature: str = "temperature"  # the setting of a trace that says at which it is drawn

    def names(self, codebooks: int) -> list[str]:
        """Of the draws of one call."""
        return numbered(self.pattern, codebooks)


def book_of(name: str) -> int | None:
    """The codebook that a draw is of: `cb0` → 0, `dep.3` → 3; `None`: of none, as `action`."""
    number = re.search(r"\d+$", name)
    return None if number is None else int(number[0])


def chosen(columns: Mapping[str, np.ndarray], names: Sequence[str], of: Mapping[str, str]) -> np.ndarray:
    """[…, D] int32 what each draw took.

    Args:
        columns: by name, of one call or of several.
        names: of the D draws.
        of: for each draw the column that has what was chosen, see `Adapter.draw_columns`.
    """
    books = ((columns[of[name]], book_of(name)) for name in names)
    taken: np.ndarray = np.stack([part if book is None else part[..., book] for part, book in books], axis=-1)
    return taken.astype(np.int32)


def unpack_kept(bits: np.ndarray) -> np.ndarray:
    """Bit i of [...] int32 as candidate i of [..., 16] bool."""
    return (bits[..., None] >> np.arange(BEST) & 1).astype(bool)


def stored_draws(columns: Mapping[str, np.ndarray], names: Sequence[str], choice: Sequence[int]) -> list[Draw]:
    """One call's draws from the columns `draw.*` of that call, [D, …] each; `None` if they are not there.

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
