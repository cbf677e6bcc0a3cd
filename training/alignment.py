"""Times for words that have none of their own, and how much of a transcript was heard."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from dia2.runtime.heard import is_spaceless
from dia2.runtime.words import Word


def fill_starts(texts: Sequence[str], starts: Sequence[float | None], begin: float, end: float) -> list[float]:
    """Starts for all words: one without a start shares the time up to the next known one by its letters.

    Args:
        texts: the words.
        starts: where known.
        begin: start of the first word if it is not known.
        end: of the last word.
    """
    known = [begin if starts[0] is None else starts[0]]
    for i in range(1, len(texts)):
        start = starts[i]
        if start is None:
            following = next((j for j in range(i, len(texts)) if starts[j] is not None), len(texts))
            found = starts[following] if following < len(texts) else end
            assert found is not None, "the search stops at a known start or at the end"
            share = len(texts[i - 1]) / max(1, sum(len(text) for text in texts[i - 1 : following]))
            start = known[-1] + (found - known[-1]) * share
        known.append(max(start, known[-1]))
    return known


def align(texts: Sequence[str], heard: Sequence[Word]) -> list[Word]:
    """The words of a transcript at the times at which a recogniser heard them, or words like them.

    Words are compared as `spelling` has them; of scripts without spaces, characters.

    Args:
        texts: the transcript's words.
        heard: what was heard, in order; not empty.
    """
    said, found = _parts_of(texts), _parts_of([word.text for word in heard])
    starts: list[float | None] = [None] * len(texts)
    ends: list[float | None] = [None] * len(texts)
    for a, b in _pairs(said, found):
        word = heard[b.word]
        length = word.end - word.start
        if a.first:
            starts[a.word] = word.start + length * b.begin
        if a.last:
            ends[a.word] = word.start + length * b.end
    filled = fill_starts(texts, starts, heard[0].start, heard[-1].end)
    borders = [*filled, heard[-1].end]
    return [
        Word(text, start, max(start, min(ends[i] or following, following)))
        for i, (text, (start, following)) in enumerate(zip(texts, pairwise(borders), strict=True))
    ]


def matched(texts: Sequence[str], heard: Sequence[str]) -> float:
    """The share, 0 … 1, of words that a transcript and what was heard have in common, of the longer of both.

    So it is small where a transcript has words that nobody says, and where words are said that it lacks.
    """
    said, found = ([part for part in _parts_of(of) if part.key] for of in (texts, heard))
    return sum(1 for _ in _pairs(said, found)) / max(len(said), len(found), 1)


def spelling(text: str) -> str:
    """What tells a word from others: its letters, marks and digits, of any script, however they are written.

    Case, punctuation and compatible forms (ﬁ, Ａ, ①) do not count. Empty where nothing is left.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LMN")


@dataclass(frozen=True)
class _Part:
    """What is compared: a word, or a character of one in a script without spaces."""

    key: str  # empty: like nothing, not even another such
    word: int  # its index
    begin: float = 0.0  # where in the word it begins and ends, 0 … 1
    end: float = 1.0

    @property
    def first(self) -> bool:
        return self.begin == 0

    @property
    def last(self) -> bool:
        return self.end == 1


def _parts_of(texts: Sequence[str]) -> list[_Part]:
    parts: list[_Part] = []
    for word, text in enumerate(texts):
        key = spelling(text)
        if any(map(is_spaceless, key)):
            parts += [_Part(char, word, i / len(key), (i + 1) / len(key)) for i, char in enumerate(key)]
        else:
            parts.append(_Part(key, word))
    return parts


def _pairs(said: Sequence[_Part], found: Sequence[_Part]) -> Iterator[tuple[_Part, _Part]]:
    """Those that are alike, in the order of both."""
    keys: list[list[Hashable]] = [
        [part.key or (side, i) for i, part in enumerate(parts)] for side, parts in enumerate((said, found))
    ]
    for block in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks():
        yield from zip(said[block.a : block.a + block.size], found[block.b : block.b + block.size], strict=True)
