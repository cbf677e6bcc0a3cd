"""What draws and sound say of a run call by call: how unlikely a draw was, how guidance moved it, how loud it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

BITS_STEP = 1 / 16  # of a surprise
_MOST_BITS = 254 * BITS_STEP
_QUIETEST = 255  # dB below full scale
_PEAK = 2.6  # median absolute deviations above the median; both limits are set by eye, see docs/explorer.md
_ACTION = 1.4  # bits
_NEAR = 4  # calls in which peaks count as one

Columns = dict[str, np.ndarray]


def draw_signals(ids: np.ndarray, cond: np.ndarray, guided: np.ndarray, probability: np.ndarray) -> Columns:
    """`surprise` and `pull` [n, D] uint8 of draws, 0 where nothing is known.

    Surprise is −log₂ of the recorded chance, as 1 + its steps of `BITS_STEP`. Pull is the total variation between the
    softmax of the conditional and that of the guided logits over the candidates, 1 as 255.

    Args:
        ids: [n, D, C] of the candidates; −1: none.
        cond: [n, D, C] their conditional logits.
        guided: [n, D, C] likewise after guidance.
        probability: [n, D] of each choice.
    """
    chance = np.nan_to_num(probability).astype(np.float64)
    bits = -np.log2(np.clip(chance, 2.0**-_MOST_BITS, 1))
    surprise = np.where(chance > 0, 1 + np.round(np.clip(bits, 0, _MOST_BITS) / BITS_STEP), 0)
    there = ids >= 0
    before, after = _softmax(cond, there), _softmax(guided, there)
    pull = np.abs(before - after).sum(2) / 2
    return {"surprise": surprise.astype(np.uint8), "pull": np.round(255 * pull).astype(np.uint8)}


def _softmax(logits: np.ndarray, there: np.ndarray) -> np.ndarray:
    """[n, D, C]: those that are there sum to 1, if one is."""
    known = np.where(there, np.nan_to_num(logits.astype(np.float64), nan=-1e30, posinf=1e30, neginf=-1e30), -1e30)
    chance = np.exp(known - known.max(2, keepdims=True)) * there
    shares: np.ndarray = chance / np.maximum(chance.sum(2, keepdims=True), 1e-30)
    return shares


def pull_of_books(pull: np.ndarray, books: Sequence[int | None]) -> np.ndarray:
    """[n, 2] uint8 of a column `pull` [n, D]: that of the first codebook, and the mean of all that were recorded.

    Args:
        pull: as `draw_signals` has it.
        books: [D] the codebook of each draw; `None`: of none.
    """
    of_codes = [i for i, book in enumerate(books) if book is not None]
    if not of_codes:
        return np.zeros((len(pull), 2), np.uint8)
    return np.round(np.stack((pull[:, of_codes[0]], pull[:, of_codes].mean(1)), axis=1)).astype(np.uint8)


def bits(surprise: np.ndarray) -> np.ndarray:
    """A column `surprise` in bits; NaN where it is not known."""
    found: np.ndarray = np.where(surprise > 0, (surprise.astype(np.float64) - 1) * BITS_STEP, np.nan)
    return found


def anomalies(surprise: np.ndarray, books: Sequence[int | None]) -> list[dict[str, Any]]:
    """Calls whose draws were far less likely than the run's usual ones, in their order.

    A call is one where the mean surprise of its codebooks is a peak above the run's median + 2.6 × MAD, or where that
    of a draw which is of no codebook is above 1.4 bits; the highest of those within four calls speaks for them.

    Args:
        surprise: [n, D] as `draw_signals` has it.
        books: [D] the codebook of each draw; `None`: of none, as an action.

    Returns:
        `call`, `what` (`codes`, or `action`) and `bits` each.
    """
    known = bits(surprise)
    of_codes = np.array([book is not None for book in books])
    mean, action = _mean(known[:, of_codes]), np.nan_to_num(known[:, ~of_codes]).max(1, initial=0)
    drawn = mean[~np.isnan(mean)]
    middle = float(np.median(drawn)) if len(drawn) else 0.0
    spread = float(np.median(np.abs(drawn - middle))) if len(drawn) else 0.0
    level = np.nan_to_num(mean)
    beside = np.pad(level, 1)
    peak = (level > middle + _PEAK * spread) & (level >= beside[:-2]) & (level > beside[2:]) & (spread > 0)
    found: list[dict[str, Any]] = []
    for call in np.flatnonzero(peak | (action > _ACTION)).tolist():
        surprising = action[call] > _ACTION
        height = float(action[call] if surprising else level[call])
        one = {"call": call, "what": "action" if surprising else "codes", "bits": round(height, 2)}
        if not found or call - found[-1]["call"] >= _NEAR:
            found.append(one)
        elif height > found[-1]["bits"]:
            found[-1] = one
    return found


def _mean(known: np.ndarray) -> np.ndarray:
    """[n] mean of [n, K] over what is known; NaN where nothing is."""
    count = (~np.isnan(known)).sum(1)
    mean: np.ndarray = np.where(count > 0, np.nansum(known, axis=1) / np.maximum(count, 1), np.nan)
    return mean


def loudness(samples: np.ndarray, rate: int, frames: float) -> np.ndarray:
    """RMS of every frame of samples [N], as [n] uint8 dB below full scale.

    Args:
        samples: in −1 … 1.
        rate: Hz.
        frames: a second.
    """
    width = max(1, round(rate / frames))
    count = -(-len(samples) // width)
    padded = np.zeros(count * width)
    padded[: len(samples)] = np.clip(np.nan_to_num(samples), -1, 1)
    power = (padded.reshape(count, width) ** 2).mean(1)
    levels: np.ndarray = np.round(np.clip(-10 * np.log10(np.maximum(power, 1e-30)), 0, _QUIETEST)).astype(np.uint8)
    return levels
