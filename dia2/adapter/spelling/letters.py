"""Which kinds of sound the letters of words stand for, roughly, and when: English spelling without a dictionary.

Digits, and letters of other scripts, stand for any sound: of these, words tell no more than that somebody speaks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

KINDS = ("pause", "hiss", "breath", "stop", "nasal", "voiced", "any")
SPREAD = 0.06  # seconds: a word's letters are not all as long, and its times are not exact

_SPELT = re.compile(
    r"(?P<hiss>sh|ch|ss?|[zxj]|c(?=[eiy])|t(?=ion))|(?P<breath>[tp]h|ff?|[vh])|(?P<nasal>mm?|nn?)"
    r"|(?P<silent>gh|(?<=\w{3})e\b)|(?P<stop>pp?|bb?|tt?|dd?|kk?|gg?|cc?|q)|(?P<voiced>[aeiouy]+|ll?|rr?|w)"
    r"|(?P<any>\w)"
)
_LENGTHS = {"hiss": 1.2, "voiced": 1.2}  # of a sound; 1 of others
_SPOKEN_DIGIT = 3.0  # sounds
_MOST = 64  # characters of a word that are looked at


def sounds_of(word: str) -> list[tuple[int, float]]:
    """The kinds of sound (index in `KINDS`) that a word consists of, with their lengths beside each other."""
    plain = unicodedata.normalize("NFD", word[:_MOST].lower())
    letters = "".join(char for char in plain if char.isalnum())
    found = []
    for match in _SPELT.finditer(letters):
        kind = match.lastgroup or ""
        if kind != "silent":
            length = _SPOKEN_DIGIT if match[0].isdigit() else _LENGTHS.get(kind, 1.0)
            found.append((KINDS.index(kind), length))
    return found or [(KINDS.index("any"), 1.0)]


def expected(texts: Sequence[str], times: np.ndarray, frames: int, rate: float) -> np.ndarray:
    """How much of each kind of sound words let expect, frame by frame.

    Args:
        texts: of the words.
        times: [W, 2] their starts and ends, in frames, which may lie outside.
        frames: how many there are.
        rate: frames a second.

    Returns:
        [kinds, frames] of which each frame sums to 1.
    """
    shares = np.zeros((len(KINDS), frames))
    for text, (start, end) in zip(texts, times, strict=True):
        kinds, lengths = zip(*sounds_of(text), strict=True)
        edges = start + np.concatenate(([0.0], np.cumsum(lengths))) / sum(lengths) * (end - start)
        first, last = max(0, int(edges[0])), min(frames, int(np.ceil(edges[-1])))
        if first < last:
            at = np.arange(first, last)[None, :]
            inside = np.minimum(at + 1, edges[1:, None]) - np.maximum(at, edges[:-1, None])  # [sounds, frames]
            np.add.at(shares[:, first:last], np.array(kinds), inside.clip(0))
    shares[0] += (1 - shares.sum(axis=0)).clip(0)
    spread = SPREAD * rate
    reach = int(np.ceil(3 * spread))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    wide = np.pad(shares, ((0, 0), (reach, reach)), mode="edge")
    smooth = np.stack([np.convolve(row, bell, "valid") for row in wide])
    normal: np.ndarray = smooth / smooth.sum(axis=0)
    return normal
