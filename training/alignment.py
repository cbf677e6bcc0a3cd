"""Times for words that have none of their own."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from dia2.runtime.words import Word
from training.dialogue import words as plain_words


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
            share = len(texts[i - 1]) / sum(len(text) for text in texts[i - 1 : following])
            start = known[-1] + (found - known[-1]) * share
        known.append(max(start, known[-1]))
    return known


def align(texts: Sequence[str], heard: Sequence[Word]) -> list[Word]:
    """The words of a transcript at the times at which a recogniser heard them, or words like them.

    Args:
        texts: the transcript's words.
        heard: what was heard, in order; not empty.
    """
    matcher = SequenceMatcher(None, [_plain(text) for text in texts], [_plain(word.text) for word in heard], False)
    starts: list[float | None] = [None] * len(texts)
    ends: list[float | None] = [None] * len(texts)
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            starts[block.a + i], ends[block.a + i] = heard[block.b + i].start, heard[block.b + i].end
    filled = fill_starts(texts, starts, heard[0].start, heard[-1].end)
    borders = [*filled, heard[-1].end]
    return [
        Word(text, start, max(start, min(ends[i] or following, following)))
        for i, (text, (start, following)) in enumerate(zip(texts, pairwise(borders), strict=True))
    ]


def _plain(text: str) -> str:
    return "".join(plain_words(text))
