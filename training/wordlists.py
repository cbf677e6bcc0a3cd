"""English as Debian's packages have it: the example sentences and words of WordNet, and a list of common words.

They are read where a corpus is made, and no part of them is in this repository but the words of `wide.txt`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from dia2.common.errors import Dia2Error

WORDNET = Path("/usr/share/wordnet")  # of Debian's wordnet-base
COMMON = Path("/usr/share/dict/american-english-small")  # of Debian's wamerican-small

_PARTS = ("noun", "verb", "adj", "adv")
# WordNet says so of words that are not for everybody's ears; all that stands beside them is left out.
_UNFIT = re.compile(r"obscen|vulgar|offensive|slur|disparag|taboo|sexual|Nazi|rape\b", re.IGNORECASE)
_EXAMPLE = re.compile(r'"([^"]*)"')
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z' ,?!.-]*[A-Za-z'])?[.?!]?")
_ODD = re.compile(r"\.\s|--|\.\.|\s[-']|[-'](?:\s|$)|[,-]$|\b[A-Z][.]|[?!].|[A-Z]{2}")  # abbreviations and the like
_LENGTHS = range(3, 15)  # words of an example
_LONGEST = 80  # characters
_WORD = re.compile(r"[a-z]{2,10}")
_LEMMA = re.compile(r"[a-z]{3,9}")
_NAMED = ("15", "18")  # WordNet's files of places and of people
_NAME = re.compile(r"[A-Z][a-z]{2,11}")


@functools.cache
def examples() -> tuple[str, ...]:
    """WordNet's example sentences and phrases, those of plain words, each beginning with a capital and ending in .?!.

    Raises:
        Dia2Error: WordNet is not there.
    """
    found: dict[str, None] = {}  # in WordNet's order
    for _, _, gloss in _synsets():
        for text in _EXAMPLE.findall(gloss):
            plain = " ".join(text.split())
            if len(plain) <= _LONGEST and _PLAIN.fullmatch(plain) and not _ODD.search(plain):
                ended = plain if plain[-1] in ".?!" else plain + "."
                if len(plain.split()) in _LENGTHS:
                    found[ended[0].upper() + ended[1:]] = None
    return tuple(found)


@functools.cache
def words() -> tuple[str, ...]:
    """Words in lower case, common ones in all their forms and the shorter ones of WordNet; sorted.

    Raises:
        Dia2Error: WordNet or the list of common words is not there.
    """
    lemmas = {word for _, words, _ in _synsets() for word in words if _LEMMA.fullmatch(word)}
    return tuple(sorted(lemmas | {word for word in _lines(COMMON, "wamerican-small") if _WORD.fullmatch(word)}))


@functools.cache
def names() -> tuple[str, ...]:
    """Names of people and places in WordNet, one word each; sorted.

    Raises:
        Dia2Error: WordNet is not there.
    """
    found = {word for file, words, _ in _synsets() if file in _NAMED for word in words if _NAME.fullmatch(word)}
    return tuple(sorted(found))


@functools.cache
def _synsets() -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Of every set of synonyms: the number of WordNet's file for their kind, the words, and what is said of them."""
    found = []
    for part in _PARTS:
        path = WORDNET / f"data.{part}"
        for number, line in enumerate(_lines(path, "wordnet-base"), 1):
            if not line[:1].isdigit():  # the licence
                continue
            head, _, gloss = line.partition(" | ")
            try:
                _, file, _, count, *rest = head.split()
                words = tuple(word.partition("(")[0] for word in rest[: 2 * int(count, 16) : 2])
            except ValueError as error:
                raise Dia2Error(f"{path}, line {number} is not WordNet's: reinstall Debian's wordnet-base.") from error
            if not _UNFIT.search(gloss):
                found.append((file, words, gloss))
    return tuple(found)


def _lines(path: Path, package: str) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Dia2Error(f"{path} cannot be read ({error.strerror}): install Debian's package {package}.") from error
    yield from text.splitlines()
