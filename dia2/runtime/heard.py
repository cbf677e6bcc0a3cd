"""Words out of what Whisper hears: its pieces joined, and its times repaired. No other place changes either.

Whisper tells the time of pieces, not of words, on a clock of 0.02 s; some take no time, some overlap, and the first, or
one after a pause, often begins long before its sound.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from dia2.runtime.onset import falls_silent, levels_of, sound_begins

Heard = tuple[str, float, float]  # text, start and end in seconds

_TICK = 0.02  # seconds, Whisper's clock
_SHORT = 0.08  # seconds that a word gets which Whisper gave `None`: what “a” and “I” take
_CLEARLY = 0.1  # seconds; the first word is left alone where it begins less than this before its sound
_PAUSE = 0.3  # seconds, likewise of later words, which may begin with the closure of a t or k
_TAIL = 0.25  # seconds of the word before that may be given to a word
_NOISE = 1.0  # seconds before the first word that tell how loud the noise is
_SPACELESS = (  # scripts that set no space between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han
    *((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FFF), (0x3003, 0x30FF), (0x3100, 0x312F)),
    *((0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF)),
    *((0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF)),
)
_FOLLOWING = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶะาำๅະາຳ"  # small kana and vowels, of the sound before
_LEADING = "เแโใไເແໂໃໄ"  # Thai and Lao vowels, written before the consonant that is said first
_SPOKEN_MARKS = "&%#@*/\\§‰"  # punctuation by Unicode's classes, and yet read aloud


def join_pieces(segments: Iterable[Mapping[str, Any]]) -> list[Heard]:
    """Words of Whisper's segments, in order: a piece without a space before it goes on with the word before.

    So `D` and `.F.` are one word, from the start of the first to the end of the last. In scripts that set no spaces
    each of Whisper's pieces is a word, but for vowels and marks that go with another. A segment begins a new word,
    unless a mark ties its first piece to a word left open (`well`, `-known`). Marks alone are no word: they go to
    their neighbour.

    Args:
        segments: `{"words": [{"word": " Hello", "start": 0.1, "end": 0.4}, …]}`; other keys are not looked at.
    """
    words: list[Heard] = []
    for segment in segments:
        first, spaced, held = True, False, ""  # held: marks at the segment's start, for its first word
        for row in segment.get("words", ()):
            piece, start, end = str(row["word"]), float(row["start"]), float(row["end"])
            text = piece.strip()
            spaced = spaced or piece[:1].isspace()
            if text:
                before = words[-1][0] if words else ""
                silent = all(_is_silent(char) for char in text)
                if before and not held and not spaced and _goes_on(before, text, first):
                    words[-1] = (before + text, words[-1][1], max(end, words[-1][2]))
                elif silent and (first or held):
                    held += text
                elif silent:
                    words[-1] = (before + text, *words[-1][1:])
                else:
                    words.append((held + _without_gap(text), start, end))
                    first, held = False, ""
            spaced = piece[-1:].isspace() or (spaced and not text)
    return words


def _goes_on(before: str, text: str, first: bool) -> bool:
    """Whether a piece without a space before it belongs to the word before; `first`: of its segment."""
    last, char = before[-1], text[0]
    kind = unicodedata.category(char)
    if first:
        tied = last.isalnum() and not char.isalnum() and char != '"' and kind not in ("Ps", "Pi")
        return tied and (any(map(str.isalnum, text)) or (kind != "Pd" and char != "'"))
    if kind[0] == "M" or (is_spaceless(char) and kind == "Lm") or char in _FOLLOWING or last in _LEADING:
        return True
    if unicodedata.category(last) in ("Ps", "Pi"):
        return True
    if kind in ("Ps", "Pi"):
        return not is_spaceless(last)
    if kind[0] == "P":
        return True
    return not (is_spaceless(last) or is_spaceless(char))


def is_spaceless(char: str) -> bool:
    """Of a script that sets no space between words."""
    return any(low <= ord(char) <= high for low, high in _SPACELESS)


def _is_silent(char: str) -> bool:
    return char.isspace() or (unicodedata.category(char)[0] == "P" and char not in _SPOKEN_MARKS)


def _without_gap(text: str) -> str:
    """Whisper itself joins ` -` and ` Hello` with the space between them: without it, as a word has none."""
    mark, _, rest = text.partition(" ")
    return mark + rest.lstrip() if rest and all(map(_is_silent, mark)) else text


def thin(words: Sequence[Heard], most: int) -> list[Heard]:
    """At most `most` words, where joining neighbours of a script without spaces can do that: the shortest first."""
    kept = list(words)
    while len(kept) > most:
        pairs = [
            (kept[i + 1][2] - kept[i][1], i)
            for i, (a, b) in enumerate(pairwise(kept))
            if is_spaceless(a[0][-1]) and is_spaceless(b[0][0])
        ]
        if not pairs:
            break
        _, i = min(pairs)
        kept[i : i + 2] = [(kept[i][0] + kept[i + 1][0], kept[i][1], kept[i + 1][2])]
    return kept


def repair_times(words: Sequence[Heard], samples: Tensor, rate: int) -> tuple[list[Heard], list[str]]:
    """The words in order of time, none before the other's end, each taking time, none past the sound.

    A word that overlaps the next ends where that begins; one that takes no time gets some from before it, where its
    sound mostly is; and the first, or one after a pause, begins with its sound, where it clearly begins too early.
    Times that are right stay.

    Args:
        words: at least one.
        samples: [N] float32, what Whisper heard.
        rate: of the samples, in Hz.

    Returns:
        The words, and what was repaired, each with its number of words.
    """
    seconds = samples.shape[0] / rate
    timeless = sum(end - start < _TICK / 2 for _, start, end in words)
    overlaps = sum(b[1] < a[2] - 1e-6 for a, b in pairwise(words))
    outside = sum(start < 0 or end > seconds + 1e-6 for _, start, end in words)
    repaired = _spread(words, seconds)
    found = [(timeless, "taking no time"), (overlaps, "overlapping the next"), (outside, "past the sound")]
    notes = [f"{number} {what}" for number, what in found if number]
    levels = levels_of(samples, rate)
    moved = [_onto_sound(word, levels, first=i == 0) for i, word in enumerate(repaired)]
    if moved[0] != repaired[0]:
        notes.append(f"the first at {repaired[0][1]:.2f} s, its sound at {moved[0][1]:.2f} s")
    if early := sum(a != b for a, b in zip(moved[1:], repaired[1:], strict=True)):
        notes.append(f"{early} beginning in the pause before")
    return moved, notes


def _onto_sound(word: Heard, levels: Tensor, first: bool) -> Heard:
    """The word from where its sound begins, if that is clearly later: Whisper gives a pause to the words beside it.

    What sounds at a later word's start may be the end of the word before, or this word, and what sounds at its end the
    next one: the longer is taken for it.
    """
    text, start, end = word
    tail = 0.0 if first else falls_silent(levels, start, end) - start
    if tail > _TAIL:
        return word
    since = max(0.0, start - _NOISE) if first else start + tail
    begins = sound_begins(levels, start + tail, end, since)
    if begins is None or begins - start <= (_CLEARLY if first else _PAUSE):
        return word
    if not first and end - begins < max(2 * tail, _TAIL / 2):
        return word
    return text, round(max(start, min(begins, end - 2 * _TICK)), 3), end


def _spread(words: Sequence[Heard], seconds: float) -> list[Heard]:
    """Set right from the last word to the first, then, for what would lie before 0, from the first to the last.

    A word that is pressed keeps half of its time, or what a short word takes.
    """
    lengths = [end - start for _, start, end in words]
    least = [_SHORT if length < _TICK / 2 else min(length / 2, _SHORT) for length in lengths]
    scale = min(1.0, seconds / sum(least))
    spread: list[Heard] = []
    limit = seconds
    for (text, start, end), length in zip(reversed(words), reversed(least), strict=True):
        end = min(end, limit)
        start = min(start, end - scale * length)
        spread.insert(0, (text, start, end))
        limit = start
    limit = 0.0
    for i, ((text, start, end), length) in enumerate(zip(spread, least, strict=True)):
        start = max(start, limit)
        end = min(max(end, start + scale * length), seconds)
        spread[i] = (text, start, end)
        limit = end
    return [(text, round(start, 6), round(end, 6)) for text, start, end in spread]
