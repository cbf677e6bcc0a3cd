"""Words of any script are compared by their letters, and nothing by what nobody says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia2.runtime.words import Word
from training.alignment import align, fill_starts, matched, spelling


def at(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(*word) for word in words]


# As Whisper heard these; the first was heard as one word fewer, which once moved every word by one.
CASES: dict[str, tuple[str, list[Word], dict[int, float]]] = {
    "Russian": (
        "Привет мой дорогой друг",
        at(("мой", 1.0, 1.5), ("дорогой", 2.0, 2.5), ("друг.", 3.0, 3.4)),
        {1: 1.0, 2: 2.0, 3: 3.0},
    ),
    "Greek": (
        "Η γάτα κοιμάται;",
        at(("η", 0.2, 0.3), ("Γάτα", 0.4, 0.8), ("κοιμάται", 0.9, 1.4)),
        {0: 0.2, 1: 0.4, 2: 0.9},
    ),
    "German": (
        "Straße und Fuß",
        at(("STRASSE", 0.1, 0.5), ("und", 0.6, 0.7), ("FUSS", 0.8, 1.0)),
        {0: 0.1, 1: 0.6, 2: 0.8},
    ),
    "Hindi": (
        "मेरा घर यहाँ है",
        at(("मेरी", 0.0, 0.3), ("घर", 0.4, 0.6), ("है।", 1.2, 1.4)),
        {1: 0.4, 3: 1.2},
    ),
    "Arabic": ("مرحبا يا صديقي", at(("مرحبا،", 0.1, 0.5), ("صديقي", 0.9, 1.3)), {0: 0.1, 2: 0.9}),
    "marks alone": ("— Да … нет !", at(("…", 0.0, 0.1), ("нет", 1.0, 1.2), ("—", 2.0, 2.1)), {3: 1.0, 4: 1.825}),
    "without spaces": (
        "今天天气 很好",
        at(("今天", 0.0, 0.4), ("天", 0.4, 0.6), ("气", 0.6, 0.9), ("很好。", 1.0, 1.6)),
        {0: 0.0, 1: 1.0},
    ),
    "composed elsewhere": ("cafe\u0301 \ufb01n", at(("Café", 0.5, 0.9), ("fin", 1.0, 1.4)), {0: 0.5, 1: 1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_words_get_the_times_of_those_that_are_like_them(name: str) -> None:
    text, heard, known = CASES[name]
    words = align(text.split(), heard)
    assert [word.text for word in words] == text.split()
    assert {i: words[i].start for i in known} == pytest.approx(known)
    assert all(a.end <= b.start for a, b in pairwise(words))


@pytest.mark.parametrize(
    ("text", "heard", "share"),
    [
        ("Привет, мой друг", ["привет", "мой", "друг."], 1),
        ("Привет мой друг", ["совсем", "другие", "слова"], 0),
        ("One two three four", ["one", "two"], 0.5),
        ("One two", ["one", "two", "three", "four"], 0.5),
        ("今天天气很好", ["今天", "天气", "不好"], 5 / 6),
        ("— … !", ["…", "!"], 0),
        ("", [], 0),
    ],
)
def test_how_much_of_a_transcript_was_heard(text: str, heard: list[str], share: float) -> None:
    assert matched(text.split(), heard) == pytest.approx(share)


def test_an_empty_spelling_is_like_nothing() -> None:
    assert spelling("…") == spelling("—") == spelling("\u0307"[:0]) == ""
    assert spelling("Ёлка-42,") == "ёлка42"
    assert spelling("ＡＢＣ①") == "abc1"


@given(st.lists(st.text(max_size=4), min_size=1, max_size=6), st.lists(st.text(max_size=4), min_size=1, max_size=6))
def test_times_stand_in_order_within_what_was_heard(texts: list[str], heard: list[str]) -> None:
    found = align(texts, [Word(text, float(i), i + 0.5) for i, text in enumerate(heard)])
    assert len(found) == len(texts)
    assert all(0 <= word.start <= word.end <= len(heard) for word in found)
    assert all(a.start <= b.start for a, b in pairwise(found))
    assert 0 <= matched(texts, heard) <= 1


def test_words_without_letters_have_times_too() -> None:
    assert fill_starts(["a", "", "b"], [0.0, None, 2.0], 0.0, 3.0) == [0.0, 2.0, 2.0]
    assert fill_starts(["", "", ""], [0.0, None, None], 0.0, 3.0) == [0.0, 0.0, 0.0]
