"""Everyday English dialogue, drawn at random from `grammar.txt` and `wide.txt`: scripts for a tiny model's training.

    python training/dialogue.py [SEED]

prints a few. A sentence belongs to exactly one split, by a hash of its words, so no sentence of the test scripts
is ever trained on.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

GRAMMAR = Path(__file__).with_name("grammar.txt")  # some 1,200 words, in rules made for them
WIDE = Path(__file__).with_name("wide.txt")  # several thousand more, for the same rules and some of their own

SPLITS = ("train", "validation", "test")
_SPLIT_ENDS = (0.94, 0.96, 1.0)  # where each split ends in the interval of hashes

START = "sentence"  # the rule that names all kinds of sentences
OPENING, CLOSING = "question_hello", "bye"  # what a dialogue likes to begin and end with
_QUESTION, _ANSWER = "question_", "answer_"  # `answer_x` answers `question_x`

_OPENING_SHARE = 0.25
_CLOSING_SHARE = 0.15
_BREAK_SHARE = 0.15
_BREAKS = (0.4, 0.6, 0.8, 1.0)  # seconds
_SENTENCES, _SENTENCES_WEIGHTS = (1, 2, 3), (45, 45, 10)  # per turn
_TRIES = 300  # for a sentence of one kind and split; small kinds may have none
_MOST_TRIES = 20_000  # for any sentence of a split

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_RULE = re.compile(r"([a-z][a-z0-9_]*):")
_WEIGHT = re.compile(r"(\d+)\*\s*")
_REFERENCE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ODD = re.compile(r"[^A-Za-z .,?!']")
_GLUED = re.compile(r"\{[^{}]*\}[A-Za-z'{]|[A-Za-z']\{")  # such words would not be in the vocabulary
_NOTHING = "_"
# “a” before what sounds like a vowel; not before “union”, “used”, “European”, “one”.
_AN = re.compile(r"\b([Aa]) (?=(?!eu|uni(?![nm])|us[aeiu]|ut[ei]|uku|one|once)[aeiou]|hour|honest|honou?r|heir)")


@dataclass(frozen=True)
class Turn:
    """What one speaker, 1 or 2, says before the other one does."""

    speaker: int
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Dialogue:
    """Turns, and after each of them an explicit pause in seconds, mostly 0.0: none."""

    turns: tuple[Turn, ...]
    breaks: tuple[float, ...]

    def script(self) -> str:
        """The dialogue as Dia2 reads it: `[S1] Hello there. How are you? <break time="0.4s"/> [S2] Fine, thanks.`."""
        pieces = []
        for turn, pause in zip(self.turns, self.breaks, strict=True):
            pieces += [f"[S{turn.speaker}]", *turn.sentences]
            if pause:
                pieces.append(f'<break time="{pause:.1f}s"/>')
        return " ".join(pieces)


@dataclass(frozen=True)
class Rule:
    """The alternatives of a rule: each is text, a rule's name, text, … in turn; `sums` adds their weights up."""

    place: str  # where it begins: file and line
    alternatives: tuple[tuple[str, ...], ...]
    sums: tuple[int, ...]

    def references(self) -> set[str]:
        """The names of the rules that this one uses."""
        return {name for parts in self.alternatives for name in parts[1::2]}


_Found = tuple[str, list[tuple[int, tuple[str, ...]]]]  # a rule's place, and its weighted alternatives


@dataclass(frozen=True)
class Grammar:
    """Rules by name; all of them can be reached from `sentence`, whose alternatives are the kinds of sentences."""

    rules: Mapping[str, Rule]

    def sentence(self, rng: random.Random) -> str:
        """A sentence of any kind."""
        return self.draw(START, rng)

    def kind(self, rng: random.Random) -> str:
        """The name of a rule among those of `sentence`, by their weights."""
        return self._choose(START, rng)[1]

    def draw(self, rule: str, rng: random.Random) -> str:
        """A sentence drawn from `rule`.

        Raises:
            ValueError: there is no such rule.
        """
        if rule not in self.rules:
            raise ValueError(f"The grammar has no rule {rule!r}: name one of {', '.join(sorted(self.rules))}.")
        text = " ".join(self._expand(rule, rng).split())
        text = _AN.sub(r"\1n ", re.sub(r" (?=[.,?!])", "", text))
        return re.sub(r"(?:^|[.?!] )[a-z]", lambda match: match[0].upper(), text)

    def vocabulary(self) -> tuple[str, ...]:
        """All words that can be drawn, as `words` gives them, sorted."""
        texts = (text for rule in self.rules.values() for parts in rule.alternatives for text in parts[::2])
        return tuple(sorted({word for text in texts for word in words(text)}))

    def _choose(self, rule: str, rng: random.Random) -> tuple[str, ...]:
        found = self.rules[rule]
        return rng.choices(found.alternatives, cum_weights=found.sums)[0]

    def _expand(self, rule: str, rng: random.Random) -> str:
        parts = self._choose(rule, rng)
        return "".join(self._expand(part, rng) if i % 2 else part for i, part in enumerate(parts))


def words(sentence: str) -> list[str]:
    """The words of a sentence in lower case and without punctuation; apostrophes stay."""
    return _WORD.findall(sentence.lower())


def split_of(sentence: str) -> str:
    """The split that a sentence belongs to; neither case nor punctuation matters."""
    digest = hashlib.sha256(" ".join(words(sentence)).encode()).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64
    return next((name for name, end in zip(SPLITS, _SPLIT_ENDS, strict=True) if at < end), SPLITS[-1])


def draw_dialogue(grammar: Grammar, rng: random.Random, split: str, turns: tuple[int, int] = (1, 6)) -> Dialogue:
    """A dialogue with a number of turns in the closed range `turns`, all of whose sentences belong to `split`.

    Raises:
        ValueError: no such split or range; or the grammar has (nearly) no sentences of the split.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}: use one of {', '.join(SPLITS)}.")
    if not 1 <= turns[0] <= turns[1]:
        raise ValueError(f"A dialogue can't have {turns[0]} to {turns[1]} turns: give (least, most), from 1 on.")
    count = rng.randint(*turns)
    speaker = rng.choice((1, 2))
    drawn: list[Turn] = []
    wanted = OPENING if rng.random() < _OPENING_SHARE else START
    for i in range(count):
        sentences: list[str] = []
        for _ in range(rng.choices(_SENTENCES, _SENTENCES_WEIGHTS)[0]):
            kind, sentence = _draw(grammar, rng, split, wanted)
            sentences.append(sentence)
            answer = kind.replace(_QUESTION, _ANSWER, 1) if kind.startswith(_QUESTION) else START
            wanted = START
            if answer in grammar.rules and answer != START:
                wanted = answer
                break  # who asks waits for the answer
        if i == count - 1 and wanted == START and CLOSING in grammar.rules and rng.random() < _CLOSING_SHARE:
            sentences[-1] = _draw(grammar, rng, split, CLOSING)[1]
        drawn.append(Turn(speaker, tuple(sentences)))
        speaker = 3 - speaker
    return Dialogue(tuple(drawn), draw_pauses(rng, len(drawn)))


def draw_pauses(rng: random.Random, turns: int) -> tuple[float, ...]:
    """Seconds of an explicit pause after each turn: mostly none, and none after the last."""
    return (*(rng.choice(_BREAKS) if rng.random() < _BREAK_SHARE else 0.0 for _ in range(turns - 1)), 0.0)


def _draw(grammar: Grammar, rng: random.Random, split: str, wanted: str) -> tuple[str, str]:
    """A kind of sentence and a sentence of the split: of the kind `wanted` if there is one, else of any kind."""
    if wanted != START and wanted in grammar.rules:
        for _ in range(_TRIES):
            sentence = grammar.draw(wanted, rng)
            if split_of(sentence) == split:
                return wanted, sentence
    for _ in range(_MOST_TRIES):
        kind = grammar.kind(rng)
        sentence = grammar.draw(kind, rng)
        if split_of(sentence) == split:
            return kind, sentence
    raise ValueError(f"{_MOST_TRIES:,} sentences, and none for {split}: the grammar needs more alternatives.")


def load_grammar(*paths: Path) -> Grammar:
    """Read a grammar; the head of `training/grammar.txt` describes its form.

    Args:
        paths: of its files, GRAMMAR and WIDE if there are none. A rule of several files has the alternatives of all.

    Raises:
        ValueError: one is malformed; the message names the file, the line and what to do.
    """
    found: dict[str, _Found] = {}
    uses: list[tuple[str, str]] = []  # references and their places
    for path in paths or (GRAMMAR, WIDE):
        _read(path, found, uses)
    _check(str((paths or (GRAMMAR,))[0]), found, uses)
    rules = {}
    for name, (place, weighted) in found.items():
        if not weighted:
            raise _bad(place, f"rule {name} is empty: indent its alternatives below it, or remove it")
        sums = tuple(accumulate(weight for weight, _ in weighted))
        rules[name] = Rule(place, tuple(parts for _, parts in weighted), sums)
    _check_shape(rules)
    return Grammar(rules)


def _read(path: Path, found: dict[str, _Found], uses: list[tuple[str, str]]) -> None:
    """Add a file's rules to those that were found, and its references to the uses."""
    current: list[tuple[int, tuple[str, ...]]] | None = None
    here: dict[str, int] = {}  # lines of this file's rules
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{path}, line {number}"
        line = raw.split("#", 1)[0].rstrip()
        if not line:
            continue
        if not line[0].isspace():
            header = _RULE.fullmatch(line)
            if header is None:
                raise _bad(place, f"{line!r} is no rule's name: write `name:`, or indent an alternative")
            if header[1] in here:
                raise _bad(place, f"rule {header[1]} stands already in line {here[header[1]]}: join the two")
            here[header[1]] = number
            _, current = found.setdefault(header[1], (place, []))
        elif current is None:
            raise _bad(place, "an alternative before the first rule: put `name:` above it")
        else:
            for text in line.split("|"):
                weight, parts = _alternative(place, text.strip())
                current.append((weight, parts))
                uses += [(name, place) for name in parts[1::2]]


def _alternative(place: str, text: str) -> tuple[int, tuple[str, ...]]:
    """The weight and the parts of one alternative."""
    weight = 1
    if match := _WEIGHT.match(text):
        weight, text = int(match[1]), text[match.end() :]
    if not weight:
        raise _bad(place, "weight 0: give at least 1, or remove the alternative")
    if not text:
        raise _bad(place, f"an empty alternative: write {_NOTHING} for nothing")
    if text == _NOTHING:
        return weight, ("",)
    if match := _GLUED.search(text):
        raise _bad(place, f"{match[0]!r} makes words of pieces: put a space or a rule for whole words")
    parts = tuple(_REFERENCE.split(text))
    if odd := _ODD.search("".join(parts[::2])):
        raise _bad(place, f"{odd[0]!r} in {text!r}: use letters, . , ? ! ' and {{rule}}")
    return weight, parts


def _check(file: str, found: Mapping[str, _Found], uses: list[tuple[str, str]]) -> None:
    """Refuse references to nothing, and a grammar without its start."""
    for name, place in uses:
        if name not in found:
            raise _bad(place, f"there is no rule {name}: define it, or correct the name in braces")
    if START not in found:
        raise _bad(f"{file}, line 1", f"there is no rule {START}: add it, it names all kinds of sentences")


def _check_shape(rules: Mapping[str, Rule]) -> None:
    """Refuse rules that nothing reaches, that never end, and a start that is no list of rules."""
    for parts in rules[START].alternatives:
        if len(parts) != 3 or parts[0] or parts[2]:
            raise _bad(rules[START].place, f"{START} takes only lone rules, such as {{answer_food}}: make one")
    reached = _reachable(rules, [START])
    for name, rule in rules.items():
        if name not in reached:
            raise _bad(rule.place, f"unknown rule {name}: nothing uses it; refer to it or remove it")
    ending: set[str] = set()
    while more := {
        name
        for name, rule in rules.items()
        if name not in ending and any(ending.issuperset(parts[1::2]) for parts in rule.alternatives)
    }:
        ending |= more
    for name, rule in rules.items():
        if name not in ending and name in _reachable(rules, rule.references() - ending):
            raise _bad(rule.place, f"rule {name} never ends: give it an alternative that doesn't lead to itself")


def _reachable(rules: Mapping[str, Rule], names: Iterable[str]) -> set[str]:
    """The rules `names` and those that they lead to."""
    reached: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += rules[name].references()
    return reached


def _bad(place: str, what: str) -> ValueError:
    return ValueError(f"{place}: {what}.")


def main() -> None:
    """Print some scripts."""
    grammar = load_grammar()
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0)  # noqa: S311 — no secret
    for split in SPLITS:
        print(f"{split}:")
        for _ in range(4):
            print("  " + draw_dialogue(grammar, rng, split).script())


if __name__ == "__main__":
    main()
