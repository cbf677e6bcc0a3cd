"""Candidates of draws as the front end gets them: the best ones, their logits in steps below the best one's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dia2.inspect.schema.view import Columns

LOGIT_STEP = 1 / 256  # by which candidates' logits are told to lie below the best


def drawn_columns(columns: Mapping[str, np.ndarray], chosen: np.ndarray, shown: int, vocabulary: int) -> Columns:
    """Candidates [n, D, C] and choices [n, D] of every draw; a choice of −1 says that a call has none.

    Args:
        columns: of a trace, [n, D, …] those of its draws; they may be missing.
        chosen: [n, D] what each draw took.
        shown: C.
        vocabulary: ids are below it.
    """
    n, count = chosen.shape
    made: Columns = {
        "draw_ids": np.full((n, count, shown), -1, np.int16 if vocabulary < 1 << 15 else np.int32),
        "draw_kept": np.zeros((n, count), np.uint16),
        "draw_probability": np.zeros((n, count), np.float32),
        "draw_choice": np.full((n, count), -1, np.int32),
    }
    for name in ("cond", "guided"):
        made[f"draw_{name}"] = np.zeros((n, count, shown), np.uint16)  # steps below the best
        made[f"best_{name}"] = np.zeros((n, count), np.float32)
    if "draw.ids" not in columns:
        return made
    places = shown_places(columns["draw.ids"], chosen, shown)
    made["draw_ids"][:] = np.take_along_axis(columns["draw.ids"], places, axis=2)
    bits = (columns["draw.kept"][:, :, None] >> places & 1).astype(np.uint16)
    made["draw_kept"][:] = pack_places(bits)
    made["draw_probability"][:] = np.nan_to_num(columns["draw.probability"])
    made["draw_choice"][:] = chosen
    there = made["draw_ids"] >= 0
    for name in ("cond", "guided"):
        logits = np.nan_to_num(np.take_along_axis(columns[f"draw.{name}"], places, axis=2), neginf=-1e30)
        best = np.where(there, logits, -1e30).max(2)
        made[f"best_{name}"][:] = best
        below = np.clip((best[:, :, None] - logits) / LOGIT_STEP, 0, 65_535)
        made[f"draw_{name}"][:] = np.where(there, np.round(below), 0)
    return made


def shown_places(ids: np.ndarray, chosen: np.ndarray, shown: int) -> np.ndarray:
    """[n, D, C] which of the recorded candidates are shown: the best, the choice in the last place if it is none."""
    places = np.broadcast_to(np.arange(shown), (*ids.shape[:2], shown)).copy()
    place = (ids == chosen[:, :, None]).argmax(2)  # it is always among the sixteen
    places[:, :, -1] = np.where(place < shown, places[:, :, -1], place)
    return places


def pack_places(bits: np.ndarray) -> np.ndarray:
    """[n, D, C] of 0 and 1 as [n, D] uint16: bit i is candidate i."""
    packed: np.ndarray = (bits.astype(np.uint16) << np.arange(bits.shape[2], dtype=np.uint16)).sum(2, dtype=np.uint16)
    return packed
