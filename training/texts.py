"""What the corpus says: dialogues of the grammar, everyday sentences, names and numbers, and random words.

    python -m training.texts [SEED]

prints some of each kind. A model that has only ever heard a grammar's words has no reason to learn how letters sound:
so half of the corpus is text in which nearly every word is rare.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from training import wordlists
from training.dialogue import Dialogue, Grammar, Turn, draw_dialogue, draw_pauses, load_grammar, split_of

OPEN = Path(__file__).with_name("open.txt")
SHARES: Mapping[str, float] = {"grammar": 0.24, "ordinary": 0.21, "open": 0.13, "words": 0.42}  # of dialogues, by kind
JUDGED = ("grammar", "ordinary", "open")
JUDGE_SEED = 2211

_TURNS = (1, 4)
_TRIES = 5_000  # for a text of the split
_RARE_SHARE = 0.3  # of open sentences that are about a rare name or word
_RARE_NAME = (
    "Have you ever heard of {}?",
    "{} is a name that I know.",
    "My neighbor is called {}.",
    "Who was {}?",
    "We talked about {} and {}.",
    "They flew from {} to {}.",
    "The book about {} is very long.",
    "Is {} near {}?",
    "{} and {} were old friends.",
)
_RARE_WORD = (
    "What does {} mean?",
    "The word is {}.",
    "How do you say {} in your language?",
    "I don't know what {} and {} are.",
    "He wrote {} on the board.",
    "First {}, then {}, and finally {}.",
    "Can you spell {}?",
    "She said {}, not {}.",
    "It has something to do with {}.",
)
_LISTS: tuple[tuple[int, str], ...] = (  # how random words stand together, by weight
    (4, "{} {} {} {}."),
    (4, "{} {} {} {} {}."),
    (3, "{} {} {} {} {} {}."),
    (1, "{} {} {}?"),
    (2, "{}, {}, {}."),
    (2, "{}, {}, {}, {}."),
    (2, "{} and {}, {} or {}."),
    (2, "The {} of the {} and the {}."),
    (2, "A {} {} with {} {}."),
    (1, "Is it {} {} or {} {}?"),
    (1, "Not {}, but {} {} {}."),
)


def draw_text(rng: random.Random, split: str, shares: Mapping[str, float] = SHARES) -> Dialogue:
    """A dialogue of a kind that is drawn by its share; all its sentences belong to the split.

    Raises:
        Dia2Error: the sources of everyday sentences and words are not installed.
    """
    kind = rng.choices(list(shares), list(shares.values()))[0]
    return draw_dialogue(_grammar(), rng, split) if kind == "grammar" else _talk(kind, rng, split, _TURNS)


def draw_sentence(kind: str, rng: random.Random, split: str) -> str:
    """One sentence of a kind in `SHARES`.

    Raises:
        Dia2Error: its sources are not installed.
    """
    for _ in range(_TRIES):
        sentence = _DRAW[kind](rng, split)
        if split_of(sentence) == split:
            return sentence
    raise AssertionError(f"{_TRIES} {kind} sentences, and none for {split}")


def judge_scripts(kind: str, count: int = 30, turns: tuple[int, int] = (2, 2)) -> list[Dialogue]:
    """Scripts of a kind in `JUDGED`, the same ones every time; no sentence of theirs is ever trained on.

    Raises:
        Dia2Error: the sources of the kind are not installed.
    """
    rng = random.Random(f"{JUDGE_SEED} {kind}")  # noqa: S311 — no secret
    if kind == "grammar":
        return [draw_dialogue(_grammar(), rng, "test", turns) for _ in range(count)]
    return [_talk(kind, rng, "test", turns, sentences=(1, 1), pauses=False) for _ in range(count)]


def _talk(
    kind: str,
    rng: random.Random,
    split: str,
    turns: tuple[int, int],
    sentences: tuple[int, int] = (1, 2),
    pauses: bool = True,
) -> Dialogue:
    """Sentences of a kind, said by both speakers in turn."""
    speaker = rng.choice((1, 2))
    said = []
    for _ in range(rng.randint(*turns)):
        said.append(Turn(speaker, tuple(draw_sentence(kind, rng, split) for _ in range(rng.randint(*sentences)))))
        speaker = 3 - speaker
    return Dialogue(tuple(said), draw_pauses(rng, len(said)) if pauses else (0.0,) * len(said))


@functools.cache
def _grammar() -> Grammar:
    return load_grammar()


@functools.cache
def _open() -> Grammar:
    return load_grammar(OPEN)


def _from_grammar(rng: random.Random, split: str) -> str:
    return _grammar().sentence(rng)


def _ordinary(rng: random.Random, split: str) -> str:
    return rng.choice(wordlists.examples())


def _open_sentence(rng: random.Random, split: str) -> str:
    if rng.random() >= _RARE_SHARE:
        return _open().sentence(rng)
    frames, source = rng.choice(((_RARE_NAME, wordlists.names), (_RARE_WORD, wordlists.words)))
    return _filled(rng.choice(frames), source(), rng, split)


def _listed(rng: random.Random, split: str) -> str:
    frame = rng.choices([frame for _, frame in _LISTS], [weight for weight, _ in _LISTS])[0]
    return _filled(frame, wordlists.words(), rng, split)


_word_split = functools.lru_cache(maxsize=1 << 17)(split_of)  # of words, which are asked for again and again


def _filled(frame: str, source: tuple[str, ...], rng: random.Random, split: str) -> str:
    """The frame with words of the split, which no other split has there."""
    chosen: list[str] = []
    for _ in range(_TRIES):
        word = rng.choice(source)
        if _word_split(word) == split:
            chosen.append(word)
        if len(chosen) == frame.count("{}"):
            break
    text = frame.format(*chosen)
    return text[0].upper() + text[1:]


_DRAW: Mapping[str, Callable[[random.Random, str], str]] = {
    "grammar": _from_grammar,
    "ordinary": _ordinary,
    "open": _open_sentence,
    "words": _listed,
}


def main() -> None:
    """Print some sentences of every kind."""
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0)  # noqa: S311 — no secret
    for kind in SHARES:
        print(f"{kind}:")
        for _ in range(8):
            print("  " + draw_sentence(kind, rng, "train"))


if __name__ == "__main__":
    main()
