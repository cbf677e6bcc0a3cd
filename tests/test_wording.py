"""Numbers and nouns agree."""

from __future__ import annotations

import pytest

from dia2.common.wording import counted


@pytest.mark.parametrize(
    ("noun", "one", "two"),
    [
        ("word", "1 word", "2 words"),
        ("pass", "1 pass", "2 passes"),
        ("entry", "1 entry", "2 entries"),
        ("branch", "1 branch", "2 branches"),
        ("delay", "1 delay", "2 delays"),
        ("forced new word", "1 forced new word", "2 forced new words"),
    ],
)
def test_one_and_several(noun: str, one: str, two: str) -> None:
    assert (counted(1, noun), counted(2, noun)) == (one, two)


def test_none_and_many() -> None:
    assert (counted(0, "call"), counted(1234, "call")) == ("0 calls", "1,234 calls")
