"""Words that stand beside their sound, told by what a recording sounds like and how its words are spelt.

Each quarter of a frame has a class of sound, and the words, moved by a shift, say which to expect. How often which
class goes with which letters was counted in clean recordings of synthetic voices with Whisper's words; docs/log.md has
the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dia2.adapter.ear.shifts import FEWEST_WORDS, Limits, WordPath
from dia2.adapter.spelling.letters import expected
from dia2.adapter.spelling.sounds import classes_of

MOST_FRAMES = 20  # of a shift, either way
_PARTS = 4  # of a frame
_MOST_WORDS = 4000

# Thousandths of each class of sound (a pause; soft, middle, loud, each low, ringing, hissing), by what is expected.
# Where a pause is, speech may be that is in no word; and a word may be silent, in 15 of 100.
_CHANCES = np.array(
    [
        [437, 66, 39, 71, 120, 22, 29, 161, 51, 4],  # pause
        [175, 42, 67, 314, 84, 33, 224, 25, 9, 27],  # hiss
        [304, 198, 107, 75, 120, 28, 3, 131, 32, 2],  # breath
        [394, 115, 96, 142, 96, 23, 8, 94, 30, 2],  # stop
        [213, 51, 3, 2, 397, 35, 1, 250, 47, 1],  # nasal
        [207, 46, 10, 4, 108, 37, 1, 397, 189, 1],  # voiced
        [227, 41, 25, 59, 112, 8, 8, 419, 97, 4],  # any
    ]
)


class SpeltPath(WordPath):
    """The likeliest shifts of words by their spelling.

    Unlike the ear, which hears all words at once, it knows what is expected of each alone: what sounds between the end
    of a word and the next one is in no word, however the two are shifted.
    """

    limits = Limits(14.0, enough=10.0, enough_for_least=24.0, enough_a_frame=0.1, enough_farther=1.5, as_well=12.0)

    def __init__(self, nats: np.ndarray, wordless: np.ndarray, late: np.ndarray, times: np.ndarray) -> None:
        """Take what is known of the recording.

        Args:
            nats: [H, frames] under each hypothesis.
            wordless: [frames] nats of sound that is in no word.
            late: [H] int, ascending, 0 among them.
            times: [words, 2] frames at which the words are said to begin and to end.
        """
        super().__init__(nats, late, times[:, 0])
        self.nats = nats
        self.wordless = np.concatenate(([0.0], wordless.cumsum()))  # [frames + 1]
        ends = np.round(times[:, 1:] - late).astype(int)
        self.ends = np.maximum(ends, self.onsets + 1).clip(0, self.frames)  # [words, H]

    def before(self, states: np.ndarray) -> np.ndarray:
        """All of it is in no word."""
        nats: np.ndarray = self.wordless[self.onsets[0, states]]
        return nats

    def said(self, words: np.ndarray, states: np.ndarray, until: np.ndarray) -> np.ndarray:
        """The frames of a word, and those up to the next, which are in none."""
        begins = self.onsets[words, states]
        ends = np.maximum(np.minimum(self.ends[words, states], until), begins)
        nats: np.ndarray = self.spent(states, begins, ends) + self.wordless[until] - self.wordless[ends]
        return nats

    def gain(self, chosen: np.ndarray, first: int, last: int) -> tuple[float, int]:
        """Against the words as they were given, each up to where the next one begins."""
        given, words = chosen.copy(), np.arange(len(chosen))
        given[first : last + 1] = self.zero
        begins = np.maximum.accumulate(self.onsets[words, given])
        until = np.concatenate((begins[1:], [self.frames]))
        nats = self.wordless[begins[0]] + float(self.said(words, given, until).sum())
        end = self.frames if last == len(chosen) - 1 else int(self.onsets[last + 1, chosen[last + 1]])
        return float(nats - self.total(chosen)), max(1, end - int(self.onsets[first, chosen[first]]))


def spelt_path(
    samples: np.ndarray, rate: int, frame_rate: float, frames: int, texts: Sequence[str], times: np.ndarray
) -> SpeltPath | None:
    """How the words of one recording fit its sound; `None` for silence, few words, or such as do not ascend.

    Args:
        samples: [N] in −1 … 1.
        rate: Hz.
        frame_rate: frames a second.
        frames: how many the recording has.
        texts: of its words.
        times: [W, 2] seconds at which they are said to begin and to end, ascending.
    """
    sounding = bool(np.any(samples))
    if not sounding or not FEWEST_WORDS <= len(texts) <= _MOST_WORDS or (np.diff(times[:, 0]) < 0).any():
        return None
    parts, reach = frames * _PARTS, MOST_FRAMES * _PARTS
    classes = classes_of(samples, rate, 1 / (frame_rate * _PARTS), parts)
    fine = times.clip(-1, frames / frame_rate + 1) * frame_rate * _PARTS
    shares = expected(texts, fine + reach, parts + 2 * reach, frame_rate * _PARTS)
    chances = (_CHANCES / _CHANCES.sum(axis=1, keepdims=True))[:, classes]  # [kinds, parts]
    late = np.arange(-MOST_FRAMES, MOST_FRAMES + 1)
    moved = np.stack([shares[:, at : at + parts] for at in reach + late * _PARTS])  # [H, kinds, parts]
    nats = _of_frames(-np.log((moved * chances).sum(axis=1)))
    return SpeltPath(nats, _of_frames(-np.log(chances[0])), late, times * frame_rate)


def _of_frames(nats: np.ndarray) -> np.ndarray:
    """[…, frames] sums of the parts [… , frames * parts] of each."""
    sums: np.ndarray = nats.reshape(*nats.shape[:-1], -1, _PARTS).sum(axis=-1)
    return sums
