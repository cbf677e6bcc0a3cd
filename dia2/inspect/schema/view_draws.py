"""Candidates of draws as the front end gets them: the best ones, their logits in steps below the best one's.

The front end draws again from them with other settings, so logits are as fine as 16 bits allow, the order of the
candidates is that of the trace, and each draw has the number between 0 and 1 that decided it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dia2.inspect.schema.draw import BEST, unpack_kept
from dia2.inspect.schema.view import Columns
from dia2.inspect.schema.view_signals import draw_signals

LEAST = 8  # candidates of each draw, however many draws there are
FINEST_STEP = 2.0**-12  # of logits; wider ones where the best and the worst are more than 16 apart
RECORDED_BYTES = 5 << 19  # 2.5 MiB: of a view's candidates where a trace has sixteen of each draw
FULL_BYTES = 6 << 20  # likewise where it has all logits
_CANDIDATE_BYTES = 6  # an id and two logits
_BELOW_ALL = 0xFFFF  # steps: −∞


class Candidates(NamedTuple):
    """C candidates of each draw, the most likely first; where there are fewer the id is −1."""

    ids: np.ndarray  # [n, D, C] integers
    cond: np.ndarray  # [n, D, C] float32: conditional logits
    guided: np.ndarray  # [n, D, C] float32: after guidance
    kept: np.ndarray  # [n, D, C] bool: guidance, and what the model forbids, leave it in the draw

    def taken(self, places: np.ndarray) -> Candidates:
        """Those at `places` [n, D, c]."""
        return Candidates(*(np.take_along_axis(part, places, axis=2) for part in self))


def room_for(draws: int, most: int, room: int = RECORDED_BYTES) -> int:
    """How many candidates of each draw a view has: so many that a page of it stays small.

    Args:
        draws: in the run.
        most: that there are of a draw.
        room: bytes for all of them.
    """
    return max(1, min(most, max(LEAST, room // (_CANDIDATE_BYTES * max(1, draws)))))


def shown_of(draws: int, vocabulary: int, asked: int | None, *, full: bool) -> int:
    """How many candidates of each draw a view shows.

    Args:
        draws: in the run.
        vocabulary: of the widest draw.
        asked: how many, at most; `None`: as many as a page has room for.
        full: the trace has all logits, not the best candidates alone.
    """
    most, room = (vocabulary, FULL_BYTES) if full else (BEST, RECORDED_BYTES)
    return room_for(draws, most, room) if asked is None else min(asked, most)


def stored_candidates(columns: Mapping[str, np.ndarray], chosen: np.ndarray, shown: int) -> Candidates | None:
    """Those that the columns `draw.*` [n, D, …] have, `shown` of each draw; `None` where there are none.

    Args:
        columns: of a shard.
        chosen: [n, D] what each draw took, which is always among them.
        shown: C.
    """
    if "draw.ids" not in columns:
        return None
    kept = unpack_kept(columns["draw.kept"])
    found = Candidates(columns["draw.ids"], columns["draw.cond"], columns["draw.guided"], kept)
    return _best(found, chosen, shown)


def full_candidates(
    cond: np.ndarray, guided: np.ndarray, kept: np.ndarray, chosen: np.ndarray, shown: int
) -> Candidates:
    """The best `shown` of all candidates [n, D, V], the choice in the last place if it is none of these."""
    order = np.argsort(-cond, axis=2, kind="stable")
    ids = np.broadcast_to(np.arange(cond.shape[2]), cond.shape)
    return _best(Candidates(ids, cond, guided, kept).taken(order), chosen, shown)


def _best(found: Candidates, chosen: np.ndarray, shown: int) -> Candidates:
    """`shown` of each draw's candidates; with an id of −1 where there are not so many."""
    missing = ((0, 0), (0, 0), (0, max(0, shown - found.ids.shape[2])))
    best = found.taken(shown_places(found.ids, chosen, min(shown, found.ids.shape[2])))
    ids, *rest = best
    return Candidates(np.pad(ids, missing, constant_values=-1), *(np.pad(part, missing) for part in rest))


def drawn_columns(
    candidates: Candidates | None, probability: np.ndarray | None, chosen: np.ndarray, shown: int, vocabulary: int
) -> Columns:
    """Candidates and choices of every draw; a choice of −1 says that a call has none.

    Args:
        candidates: of all draws; `None`: these calls draw nothing.
        probability: [n, D] of each choice; likewise.
        chosen: [n, D] what each draw took.
        shown: C.
        vocabulary: ids are below it.
    """
    n, count = chosen.shape
    made: Columns = {
        "draw_ids": np.full((n, count, shown), -1, np.int16 if vocabulary < 1 << 15 else np.int32),
        "draw_kept": np.zeros((n, count, -(-shown // 8)), np.uint8),
        "draw_probability": np.zeros((n, count), np.float32),
        "draw_choice": np.full((n, count), -1, np.int32),
    }
    for name in ("cond", "guided"):
        made[f"draw_{name}"] = np.zeros((n, count, shown), np.uint16)  # steps below the best
        made[f"best_{name}"] = np.zeros((n, count), np.float32)
        made[f"draw_step_{name}"] = np.zeros((n, count), np.float32)
    made |= {name: np.zeros((n, count), np.uint8) for name in ("surprise", "pull")}
    if candidates is None or probability is None:
        return made
    made |= draw_signals(candidates.ids, candidates.cond, candidates.guided, probability)
    made["draw_ids"][:] = candidates.ids
    made["draw_kept"][:] = pack_places(candidates.kept)
    made["draw_probability"][:] = rounded(np.nan_to_num(probability))
    made["draw_choice"][:] = chosen
    for name, logits in (("cond", candidates.cond), ("guided", candidates.guided)):
        steps = logit_steps(logits, candidates.ids >= 0)
        made[f"draw_{name}"][:], made[f"best_{name}"][:], made[f"draw_step_{name}"][:] = steps
    return made


def rounded(chances: np.ndarray) -> np.ndarray:
    """Chances as float32 of 16 bits, off by 1 in 65,000 at most: a last byte of 0 takes no room in a page."""
    bits = chances.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x80)) & np.uint32(0xFFFFFF00)).view(np.float32)


def logit_steps(logits: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits [n, D, C] as [n, D, C] whole steps below [n, D] the best, and [n, D] how wide a step is.

    Args:
        logits: −∞ is 65535 steps.
        there: [n, D, C] bool: where there is one.
    """
    logits = logits.astype(np.float64)
    finite = there & np.isfinite(logits)
    best = np.where(finite, logits, -np.inf).max(2)
    # The best is told as finely as the others, which costs a page a byte less.
    best = np.round(np.where(np.isfinite(best), best, 0.0) / FINEST_STEP) * FINEST_STEP
    below = np.where(finite, best[:, :, None] - logits, 0.0).clip(0)
    step = np.maximum(FINEST_STEP, below.max(2) / (_BELOW_ALL - 1)).astype(np.float32)
    places = np.clip(np.round(below / step[:, :, None]), 0, _BELOW_ALL - 1)
    return np.where(there & ~finite, _BELOW_ALL, places), best, step


def shown_places(ids: np.ndarray, chosen: np.ndarray, shown: int) -> np.ndarray:
    """[n, D, C] which of the candidates are shown: the best, the choice in the last place if it is none."""
    places = np.broadcast_to(np.arange(shown), (*ids.shape[:2], shown)).copy()
    place = (ids == chosen[:, :, None]).argmax(2)  # it is always among those that were recorded
    places[:, :, -1] = np.where(place < shown, places[:, :, -1], place)
    return places


def pack_places(bits: np.ndarray) -> np.ndarray:
    """[n, D, C] of true and false as [n, D, C / 8] uint8: bit i of byte b is candidate 8 b + i."""
    packed: np.ndarray = np.packbits(bits.astype(bool), axis=2, bitorder="little")
    return packed
