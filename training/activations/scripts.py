"""What is spoken: sentences of the grammar's splits, none of which is in two of them."""

from __future__ import annotations

import hashlib
import random

from training.dialogue import GRAMMAR, Grammar, draw_dialogue, load_grammar, words

_LEAST = 8  # words of a script of one speaker


def _sentences(grammar: Grammar, rng: random.Random, split: str) -> tuple[str, ...]:
    return draw_dialogue(grammar, rng, split, (1, 1)).turns[0].sentences


def dialogues(split: str, count: int, turns: int = 4) -> list[str]:
    """Scripts of a split in which chance says who speaks: where speakers take turns, the last one would tell."""
    grammar, found = load_grammar(GRAMMAR), []  # whose words the embedded checkpoint learnt
    for number in range(count):
        rng = random.Random(f"{split} dialogue {number}")  # noqa: S311  # no secret
        said = ((rng.choice((1, 2)), _sentences(grammar, rng, split)) for _ in range(turns))
        found.append(" ".join(f"[S{speaker}] {' '.join(texts)}" for speaker, texts in said))
    return found


def alone(split: str, count: int, speaker: int = 1) -> list[str]:
    """Scripts of a split in which one speaker says eight words or more."""
    grammar, found = load_grammar(GRAMMAR), []  # whose words the embedded checkpoint learnt
    for number in range(count):
        rng = random.Random(f"{split} alone {number}")  # noqa: S311  # no secret
        said: list[str] = []
        while len(words(" ".join(said))) < _LEAST:
            said += _sentences(grammar, rng, split)
        found.append(f"[S{speaker}] {' '.join(said)}")
    return found


def digest(scripts: list[str]) -> str:
    """Of what is spoken: figures of other scripts are not to be compared."""
    return hashlib.sha256("\n".join(scripts).encode()).hexdigest()[:16]
