"""What the loudness of a prefix recording tells: how loud and noisy it is, and whether its words stand where it speaks.

A frame is 80 ms, so all of this is coarse. The constants were set by real transcripts of clean recordings, which must
bring nothing; `docs/log.md` has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LOUD = 30.0  # dB below the loudest frame; what is farther below is no speech
_DEEP = 26.0  # dB below the speech; a frame from here on down is a pause, if the floor is deep enough
_SHARE = 0.4  # of the way from floor to speech; in a noisy recording a frame from here on down is a pause
_HUSH = 0.2  # of that way; from here on down it is one beyond doubt
_AT_LEAST = 1.0  # dB below the speech that still sound: a level without ups and downs has no pause
_LOWEST = -100.0  # dB that stand for digital silence
_BESIDE = 1  # frames around a word in which its sound may stand; transcripts are no more exact
_FEWEST = 3  # words that a shift moves
_IDLE = 0.5  # what a word over silence weighs against sound without a word: transcripts stretch words over pauses
_FAR = 0.1  # evidence that each frame of a shift must bring by itself
_ENOUGH = 2.25  # evidence (frames of sound that have their word again) from which on a shift is believed
_ELSEWHERE = 1.0  # evidence that it must have in another place than its best one: else a single word is misplaced
_APART = 4  # frames without evidence between two such places


@dataclass(frozen=True)
class Levels:
    """How loud a recording is, in dB of full scale."""

    decibels: np.ndarray  # [frames]
    speech: float
    floor: float  # of its quietest moments
    sounding: np.ndarray  # [frames] bool: no pause
    hushed: np.ndarray  # [frames] bool: a pause beyond doubt


@dataclass(frozen=True)
class Shift:
    """Words that stand beside their sound."""

    frames: int  # that they come late; negative: early
    first: int  # index of the first of them
    last: int

    def applied(self, words: np.ndarray) -> np.ndarray:
        """The words [W, 2], in frames, as they stand at their sound."""
        moved = words.copy()
        moved[self.first : self.last + 1] -= self.frames
        return moved


def measure(rms: np.ndarray) -> Levels:
    """Levels of a recording that is not all zeros, from the RMS [frames] of its frames."""
    level = np.maximum(20 * np.log10(np.maximum(rms, 1e-30)), _LOWEST)
    speech = float(np.percentile(level[level >= level.max() - _LOUD], 80))
    floor = float(np.percentile(level, 5))
    pause = min(max(speech - _DEEP, floor + _SHARE * (speech - floor)), speech - _AT_LEAST)
    return Levels(level, speech, floor, level >= pause, level < min(pause, floor + _HUSH * (speech - floor)))


def begun(levels: Levels, words: np.ndarray) -> np.ndarray:
    """The words [W, 2], in frames; those that begin in a pause begin with their sound: transcripts stretch them."""
    sound = np.flatnonzero(levels.sounding)
    begins = words.copy()
    for i, (start, end) in enumerate(words):
        at = np.searchsorted(sound, int(start))
        if at < len(sound) and start < sound[at] < end:
            begins[i, 0] = sound[at]
    return begins


def covered(words: np.ndarray, frames: int, wider: int = 0) -> np.ndarray:
    """The frames [frames] bool in which words stand.

    Args:
        words: [W, 2] their starts and ends, in frames.
        frames: how many there are.
        wider: frames more on either side of each.
    """
    edges = np.zeros(frames + 1, int)
    firsts = np.clip(np.floor(words[:, 0]) - wider, 0, frames).astype(int)
    lasts = np.clip(np.ceil(words[:, 1]) + wider, 0, frames).astype(int)
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
    edges = np.flatnonzero(np.diff(np.concatenate(([True], near, [True]))))
    gaps = [first + np.flatnonzero(bare[first:last]) for first, last in edges.reshape(-1, 2)]
    return bare, [(int(at[0]), int(at[-1]) + 1) for at in gaps if len(at)]


def find_shift(levels: Levels, words: np.ndarray, least: int, most: int) -> Shift | None:
    """The words that fit their sound much better when they are moved, all by as much; none where they fit as they are.

    For each shift, every frame has evidence: what it costs with the words as they are, less its cost with the words
    moved. The stretch of frames with the most evidence wins; it may be all of the recording, or begin or end midway.

    Args:
        levels: of the recording.
        words: [W, 2] starts and ends, in frames.
        least: frames of the smallest shift that is looked for.
        most: of the largest, either way.
    """
    found, best = None, _ENOUGH
    for frames in sorted(range(-most, most + 1), key=abs):
        if abs(frames) < least:
            continue
        evidence = _cost(levels, words) - _cost(levels, words - frames)
        first, last = _richest(evidence)
        total = float(evidence[first:last].sum()) - _FAR * abs(frames)
        starts = words[:, 0] - frames  # a word's first frames bring no evidence, since those beside one count as it
        moved = np.flatnonzero((starts >= first - _BESIDE - 1) & (starts < last))
        if total > best and len(moved) >= _FEWEST and _elsewhere(evidence[first:last]) >= _ELSEWHERE:
            found, best = Shift(frames, int(moved[0]), int(moved[-1])), total
    return found


def _cost(levels: Levels, words: np.ndarray) -> np.ndarray:
    """[frames] 1 for sound without a word, a part of it for a word without sound."""
    frames = len(levels.sounding)
    said, near = covered(words, frames), covered(words, frames, _BESIDE)
    return np.where(levels.sounding, ~near * 1.0, said * _IDLE)


def _richest(evidence: np.ndarray) -> tuple[int, int]:
    """The stretch [first, last) with the largest sum; from and to the very ends where nothing speaks against it."""
    sums = np.concatenate(([0.0], np.cumsum(evidence)))  # [frames + 1]
    last = int((sums - np.minimum.accumulate(sums)).argmax())
    lows = np.flatnonzero(np.isclose(sums[: last + 1], sums[: last + 1].min()))
    first = 0 if lows[0] == 0 else int(lows[-1])
    return first, len(evidence) if np.isclose(sums[last:], sums[last]).all() else last


def _elsewhere(evidence: np.ndarray) -> float:
    """The evidence of all places but the best one."""
    at = np.flatnonzero(evidence > 0)
    places = np.split(evidence[at], np.flatnonzero(np.diff(at) > _APART) + 1)
    sums = sorted(float(place.sum()) for place in places)
    return sum(sums[:-1])
