"""Where words come late or early, by how likely the model finds the sound under each shift of them.

The words of a recording are gone through with dynamic programming: each has a shift, each frame of the sound is counted
once, with the shift of the word that sounds in it by then, and a change of shift between two words costs as much as a
few surprising frames. What is told is what beats the words as they were given by enough.

The constants were set by recordings of known words, of nano's own voice and of synthesizers that it never heard, clean
ones and such with words moved; docs/log.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

LEAST_FRAMES = 3  # of a shift that is told; transcripts of clean recordings stand one or two aside
FEWEST_WORDS = 3  # that a shift moves
SURELY = 0.3  # nats a frame by which a checkpoint must beat a blind guess, or else
CLEARER = 1.5  # nats a frame by which the likeliest shifts must beat the usual ones, for it to follow a recording
WINDOW, HOP = 32, 8  # frames
FLAT = 1.0  # nats a frame; where the best shift is no better than others by so much, nothing can be told


@dataclass(frozen=True)
class Limits:
    """What a shift has to bring, in nats."""

    change: float  # that a change of shift between two words costs
    enough: float  # that a shift must gain over the words as they were given, all its frames together
    enough_for_least: float  # likewise, the smallest shift: a few words that Whisper misheard can look like one
    enough_a_frame: float  # likewise, a frame
    enough_farther: float  # more than `enough`, for each frame that the words move
    as_well: float  # by which another beginning may be worse and still be possible


BY_EAR = Limits(change=20.0, enough=50.0, enough_for_least=100.0, enough_a_frame=0.5, enough_farther=0.0, as_well=20.0)


@dataclass(frozen=True)
class ShiftFound:
    """Words that come late or early, all of them by as much."""

    speaker: int  # 1 or 2, whose recording it is
    seconds: float  # that the words come late; negative: early
    first_word: int  # index of the first of them among the words of the prefix
    last_word: int
    begins_between: tuple[int, int]  # the first shifted word is one of these, both counted
    ends_between: tuple[int, int]  # the last one likewise
    gain_nats: float  # by which the sound is likelier with the words moved back, all its frames together


@dataclass(frozen=True)
class Window:
    """How a stretch of the recording takes the words."""

    speaker: int
    start: int  # frame of the prefix
    end: int  # the frame after the last
    seconds: float  # that the words seem to come late; NaN: cannot be told
    gain: float  # nats a frame by which that beats the words as given


def windows_of(
    nats: np.ndarray, late: np.ndarray, speaker: int, before: int, rate: float, *, told: bool, flat: float = FLAT
) -> list[Window]:
    """The windows of one recording.

    Args:
        nats: [H, frames] of this recording, NaN where nothing is known; or another cost of each frame.
        late: [H] frames that each hypothesis takes the words to come late.
        speaker: whose recording it is.
        before: frames of the prefix before it.
        rate: frames a second.
        told: the checkpoint can follow this recording, see `hears`.
        flat: nothing is told where the best shift is no better than others by so much, a frame.
    """
    known, found = np.isfinite(nats).all(axis=0), []
    zero = int(np.flatnonzero(late == 0)[0])
    for start in range(0, max(1, nats.shape[1] - WINDOW + HOP), HOP):
        end = min(start + WINDOW, nats.shape[1])
        here = nats[:, start:end][:, known[start:end]]
        if not here.shape[1]:
            continue
        mean = here.mean(axis=1)
        best = int(mean.argmin())
        others = mean[abs(late - late[best]) >= LEAST_FRAMES]
        clear = len(others) > 0 and here.shape[1] >= WINDOW // 2 and others.min() - mean[best] >= flat
        seconds = late[best] / rate if told and clear else np.nan
        found.append(Window(speaker, before + start, before + end, float(seconds), float(mean[zero] - mean[best])))
    return found


class WordPath:
    """The likeliest shifts of the words of one recording."""

    limits = BY_EAR

    def __init__(self, nats: np.ndarray, late: np.ndarray, starts: np.ndarray) -> None:
        """Take what is known of the recording.

        Args:
            nats: [H, frames], NaN where nothing is known.
            late: [H] int, ascending, 0 among them.
            starts: [words] frames at which the words are said to begin.
        """
        self.late, self.frames = late, nats.shape[1]
        self.zero = int(np.flatnonzero(late == 0)[0])
        known = np.isfinite(nats).all(axis=0)
        self.usual = np.where(known, np.median(nats, axis=0), 0.0)  # [frames] nats whatever the shift
        filled = np.where(known, nats, 0.0)
        self.sums = np.concatenate((np.zeros((len(late), 1)), filled.cumsum(axis=1)), axis=1)  # [H, frames + 1]
        onsets = np.round(starts[:, None] - late[None, :]).astype(int)  # [words, H] frames of their sound
        self.possible = (onsets >= -1) & (onsets <= self.frames)
        self.onsets = onsets.clip(0, self.frames)

    def spent(self, states: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Nats of the frames `first` … `last` - 1 with the shifts `states`."""
        nats: np.ndarray = self.sums[states, last] - self.sums[states, first]
        return nats

    def before(self, states: np.ndarray) -> np.ndarray:
        """Nats of the frames before the first word, if that has the shifts `states`."""
        return self.spent(states, np.zeros_like(states), self.onsets[0, states])

    def said(self, words: np.ndarray, states: np.ndarray, until: np.ndarray) -> np.ndarray:
        """Nats of the frames from where `words` begin, shifted by `states`, up to the frames `until`."""
        return self.spent(states, self.onsets[words, states], until)

    def best(self) -> np.ndarray:
        """[words] the hypothesis that fits each."""
        count, states = self.onsets.shape
        every = np.arange(states)
        cost = np.where(self.possible[0], self.before(every), np.inf)
        back = np.zeros((count, states), int)
        for word in range(1, count):
            here, there = self.onsets[word - 1], self.onsets[word]
            step = self.said(np.array(word - 1), every[:, None], there[None, :])  # [from, to]
            step = step + self.limits.change * (every[:, None] != every[None, :])
            wrong = (there[None, :] < here[:, None]) | ~self.possible[word][None, :]
            total = cost[:, None] + np.where(wrong, np.inf, step)
            back[word] = total.argmin(axis=0)
            cost = total[back[word], every]
        cost = cost + self.said(np.array(count - 1), every, np.array(self.frames))
        path = [int(cost.argmin())]
        for word in range(count - 1, 0, -1):
            path.append(int(back[word][path[-1]]))
        return np.array(path[::-1])

    def each(self, path: np.ndarray) -> np.ndarray:
        """[frames] nats with the hypotheses `path` [words]."""
        begins = np.concatenate(([0], self.onsets[np.arange(1, len(path)), path[1:]]))
        ends = np.concatenate((begins[1:], [self.frames]))
        state = np.repeat(path, ends - begins)
        frames = np.arange(self.frames)
        return self.spent(state, frames, frames + 1)

    def total(self, path: np.ndarray) -> float:
        """Nats of all frames with the hypotheses `path` [words], changes not counted; infinite where words cross."""
        words = np.arange(len(path))
        at = self.onsets[words, path]
        if (np.diff(at) < 0).any() or not self.possible[words, path].all():
            return float("inf")
        said = self.said(words, path, np.concatenate((at[1:], [self.frames])))
        return float(self.before(path[:1])[0] + said.sum())

    def gain(self, chosen: np.ndarray, first: int, last: int) -> tuple[float, int]:
        """Nats that the words `first` … `last` of a path [words] gain by their shift, and of how many frames."""
        state = chosen[first]
        begin = 0 if first == 0 else int(self.onsets[first, state])
        end = self.frames if last == len(chosen) - 1 else int(self.onsets[last + 1, chosen[last + 1]])
        given, moved = (float(self.sums[row, end] - self.sums[row, begin]) for row in (self.zero, state))
        return given - moved, max(1, end - begin)


def hears(path: WordPath, chance: float) -> bool:
    """The checkpoint can follow the recording: what it finds likelier means something.

    Either it does better under the likeliest shifts than by guessing blindly, or much better than under others, changes
    of shift counted. Of a voice that it does not know it does neither: it is surprised whatever the words. Silence,
    which any words explain, does not count.

    Args:
        path: of the recording.
        chance: nats of a blind guess.
    """
    speech = path.usual > chance / 2
    if not speech.any():
        return False
    best = path.best()
    nats = path.each(best)[speech]
    net = float((path.usual[speech] - nats).sum()) - path.limits.change * int((np.diff(best) != 0).sum())
    return bool(nats.mean() < chance - SURELY or net >= CLEARER * len(nats))


def shifts_of(path: WordPath, speaker: int, before: int, rate: float) -> list[ShiftFound]:
    """What is told of one recording.

    Args:
        path: of its words.
        speaker: whose recording it is.
        before: words of the prefix before it.
        rate: frames a second.
    """
    chosen = _settled(path, path.best())
    found = []
    base = path.total(chosen)
    for first, last in _runs(chosen):
        late = int(path.late[chosen[first]])
        if not late or last - first + 1 < FEWEST_WORDS:
            continue
        gain, frames = path.gain(chosen, first, last)
        limits = path.limits
        enough = (
            limits.enough_for_least if abs(late) == LEAST_FRAMES else limits.enough + limits.enough_farther * abs(late)
        )
        if gain < max(enough, limits.enough_a_frame * frames):
            continue
        begins = _possible(path, chosen, base, first, last, moves_first=True)
        ends = _possible(path, chosen, base, first, last, moves_first=False)
        found.append(
            ShiftFound(
                speaker,
                late / rate,
                before + first,
                before + last,
                (before + begins[0], before + begins[1]),
                (before + ends[0], before + ends[1]),
                gain,
            )
        )
    return found


def _settled(path: WordPath, chosen: np.ndarray) -> np.ndarray:
    """Small shifts are none, and neighbours that hardly differ are one."""
    settled, words = chosen.copy(), np.arange(len(chosen))
    settled[abs(path.late[settled]) < LEAST_FRAMES] = path.zero
    merged = True
    while merged:
        merged = False
        runs = _runs(settled)
        for (a, _), (c, d) in pairwise(runs):
            one, two = path.late[settled[a]], path.late[settled[c]]
            if one and two and abs(one - two) < LEAST_FRAMES:
                either = [np.where((words >= a) & (words <= d), settled[at], settled) for at in (a, c)]
                settled = min(either, key=path.total)
                merged = True
                break
    return settled


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) word of each stretch of one hypothesis."""
    edges = [0, *(np.flatnonzero(np.diff(chosen)) + 1).tolist(), len(chosen)]
    return [(a, b - 1) for a, b in pairwise(edges)]


def _possible(
    path: WordPath, chosen: np.ndarray, base: float, first: int, last: int, *, moves_first: bool
) -> tuple[int, int]:
    """Between which words the stretch may begin, or end, as well as where it does."""
    if (first == 0) if moves_first else (last == len(chosen) - 1):
        return (first, first) if moves_first else (last, last)
    runs = _runs(chosen)
    at = [run[0] for run in runs].index(first)
    other = runs[at - 1] if moves_first else runs[at + 1]
    own = chosen[first]
    beside = chosen[other[0]]
    as_well = []
    for word in range(other[0] + 1, last + 1) if moves_first else range(first, other[1]):
        tried = chosen.copy()
        if moves_first:
            tried[other[0] : word], tried[word : last + 1] = beside, own
        else:
            tried[first : word + 1], tried[word + 1 : other[1] + 1] = own, beside
        if path.total(tried) - base <= path.limits.as_well:
            as_well.append(word)
    edge = first if moves_first else last
    return min([edge, *as_well]), max([edge, *as_well])
