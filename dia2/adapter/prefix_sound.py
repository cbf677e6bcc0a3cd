"""What the loudness of a prefix recording tells: how loud and noisy it is, and whether its words stand where it speaks.

A frame is 80 ms, so all of this is coarse. The constants were set by real transcripts of clean recordings, which must
bring nothing; `docs/log.md` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dia2.inspect.trace.levels import Levels
from dia2.inspect.trace.stretches import stretches

_DUST = 1e-6  # frames; seconds times a rate are no exact frames
_BESIDE = 1  # frames around a word in which its sound may stand; transcripts are no more exact
_FEWEST = 3  # words that a shift moves
_NEAR = 0.2  # what sound beside a word weighs against sound without a word
_IDLE = 0.5  # what a word over silence weighs against sound without a word: transcripts stretch words over pauses
_FAR = 0.1  # evidence that each frame of a shift must bring by itself
_ENOUGH = 3.25  # evidence (frames of sound that have their word again) from which on a shift is believed
_REGAINED = 1.0  # evidence that sound must bring: words over a pause fit it better anywhere
_ELSEWHERE = 1.0  # evidence that it must have outside of its best place: else a single word is misplaced
_AS_WELL = 1.0  # evidence by which another beginning may be worse and still be possible
_PLACE = 10  # frames of a place


@dataclass(frozen=True)
class Shift:
    """Words that stand beside their sound."""

    frames: int  # that they come late; negative: early
    first: int  # index of the first of them
    last: int
    earliest: int = 0  # the first of them may be this one already

    def applied(self, words: np.ndarray) -> np.ndarray:
        """The words [W, 2], in frames, as they stand at their sound."""
        moved = words.copy()
        moved[self.first : self.last + 1] -= self.frames
        return moved


def covered(words: np.ndarray, frames: int, wider: int = 0) -> np.ndarray:
    """The frames [frames] bool in which words stand.

    Args:
        words: [W, 2] their starts and ends, in frames.
        frames: how many there are.
        wider: frames more on either side of each.
    """
    edges = np.zeros(frames + 1, int)
    firsts = np.clip(np.floor(words[:, 0] + _DUST) - wider, 0, frames).astype(int)
    lasts = np.clip(np.ceil(words[:, 1] - _DUST) + wider, 0, frames).astype(int)
    np.add.at(edges, firsts, 1)
    np.add.at(edges, np.maximum(firsts, lasts), -1)
    return edges.cumsum()[:frames] > 0


def wordless(levels: Levels, words: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Where a recording sounds and no word is near.

    Returns:
        bare: [frames] bool.
        gaps: of each gap between words (or before the first, after the last) that has such frames, the first of them
            and the one after the last.
    """
    near = covered(words, len(levels.sounding), _BESIDE)
    bare = levels.sounding & ~near
    gaps = [first + np.flatnonzero(bare[first:last]) for first, last in stretches(~near)]
    return bare, [(int(at[0]), int(at[-1]) + 1) for at in gaps if len(at)]


def find_shift(levels: Levels, words: np.ndarray, least: int, most: int) -> Shift | None:
    """The words that fit their sound much better when they are moved, all by as much; none where they fit as they are.

    For each shift, every frame has evidence: what it costs with the words as they are, less its cost with the words
    moved. The stretch of frames with the most evidence wins; it may be all of the recording, or begin or end midway.

    Args:
        levels: of the recording.
        words: [W, 2] starts and ends, in frames.
        least: frames of a shift that is worth telling.
        most: of the largest that is looked for, either way.
    """
    if len(words) < _FEWEST:
        return None
    found, best = None, _ENOUGH
    as_it_is = misfit(levels, words)
    for frames in sorted(range(-most, most + 1), key=abs):
        evidence = as_it_is - misfit(levels, words - frames)
        first, last, begin, end, earliest = _richest(evidence, words, frames)
        total = float(evidence[begin:end].sum()) - _FAR * abs(frames)
        regained = float(evidence[begin:end][levels.sounding[begin:end]].sum())
        if total > best and regained >= _REGAINED and _elsewhere(evidence[begin:end]) >= _ELSEWHERE:
            found, best = Shift(frames, first, last, earliest), total
    return found if found is not None and abs(found.frames) >= least else None


def misfit(levels: Levels, words: np.ndarray) -> np.ndarray:
    """[frames] 1 for sound without a word, a part of it for a word without sound."""
    frames, words = len(levels.sounding), _begun(levels, words)
    said, near = covered(words, frames), covered(words, frames, _BESIDE)
    return np.where(levels.sounding, np.where(near, ~said * _NEAR, 1.0), said * _IDLE)


def _begun(levels: Levels, words: np.ndarray) -> np.ndarray:
    """The words [W, 2], in frames; those that begin in a pause begin with their sound: transcripts stretch them."""
    sound = np.flatnonzero(levels.sounding)
    begins = words.copy()
    for i, (start, end) in enumerate(words):
        at = np.searchsorted(sound, int(start + _DUST))
        if at < len(sound) and start < sound[at] < end - _DUST:
            begins[i, 0] = sound[at]
    return begins


def _richest(evidence: np.ndarray, words: np.ndarray, frames: int) -> tuple[int, int, int, int, int]:
    """The words in a row, at least three, whose frames have the most evidence; all up to an end if it is as much.

    Returns:
        Index of the first and of the last of them, their first frame, the one after their last, and the index of the
        earliest word that they might as well begin with.
    """
    starts, ends = words.T
    before = (ends[:-1] + starts[1:] - max(0, frames)) / 2  # where frames of a moved word begin, beside one that stays
    behind = (ends[:-1] - min(0, frames) + starts[1:]) / 2  # and where they end
    begins = np.concatenate(([0], np.clip(before, 0, len(evidence)))).astype(int)  # [W]
    closes = np.concatenate((np.clip(behind, 0, len(evidence)), [len(evidence)])).astype(int)
    sums = np.concatenate(([0.0], np.cumsum(evidence)))  # [frames + 1]
    opened, closed = sums[begins], sums[closes]
    lowest = np.minimum.accumulate(opened)[: len(words) - _FEWEST + 1]
    last = int((closed[_FEWEST - 1 :] - lowest).argmax()) + _FEWEST - 1
    lows = np.flatnonzero(np.isclose(opened[: last - _FEWEST + 2], lowest[last - _FEWEST + 1]))
    first = 0 if lows[0] == 0 else int(lows[-1])
    earliest = int((opened[: first + 1] <= opened[first] + _AS_WELL).argmax())
    if np.isclose(closed[-1], closed[last]):
        last = len(words) - 1
    return first, last, int(begins[first]), int(closes[last]), earliest


def _elsewhere(evidence: np.ndarray) -> float:
    """The evidence outside of the place that has most of it."""
    for_it = np.concatenate(([0.0], np.cumsum(np.maximum(evidence, 0)), np.zeros(_PLACE)))
    for_it[len(evidence) + 1 :] = for_it[len(evidence)]
    return float(for_it[-1] - (for_it[_PLACE:] - for_it[:-_PLACE]).max())
