"""What is kept between runs: how much of it, and who goes first."""

from __future__ import annotations

import pytest

from dia2.runtime.lru_cache import LRUCache


def kept(most: int = 3, most_bytes: int = 100, **sizes: int) -> LRUCache[str, str]:
    made = LRUCache[str, str](most=most, most_bytes=most_bytes)
    for name, nbytes in sizes.items():
        made.keep(name, nbytes, name.upper)
    return made


def names(held: LRUCache[str, str]) -> str:
    return "".join(name for name in "abcde" if held.get(name) == name.upper())


def test_what_was_kept_first_goes_first() -> None:
    assert names(kept(a=1, b=1, c=1)) == "abc"
    assert names(kept(a=1, b=1, c=1, d=1)) == "bcd"


@pytest.mark.parametrize("used", ["a", "b", "c"])
def test_what_was_used_longest_ago_goes_first(used: str) -> None:
    held = kept(a=1, b=1, c=1)
    assert held.get(used) == used.upper()
    held.keep("d", 1, lambda: "D")
    gone = "b" if used == "a" else "a"
    assert names(held) == "".join(sorted({*"abcd"} - {gone}))


def test_what_is_kept_again_is_the_latest() -> None:
    held = kept(a=1, b=1, c=1)
    held.keep("a", 1, lambda: "A")
    held.keep("d", 1, lambda: "D")
    assert names(held) == "acd"


def test_asking_for_what_is_not_there_changes_nothing() -> None:
    held = kept(a=1, b=1, c=1)
    assert held.get("e") is None
    held.keep("d", 1, lambda: "D")
    assert names(held) == "bcd"


def test_the_bound_itself_is_within_it() -> None:
    assert names(kept(most_bytes=10, a=10)) == "a"
    assert names(kept(most_bytes=10, a=11)) == ""
    assert names(kept(most_bytes=10, a=4, b=6)) == "ab"
    assert names(kept(most_bytes=10, a=4, b=7)) == "b"
    assert kept(most_bytes=10, a=4, b=6).nbytes == 10


def test_nothing_is_left_when_it_is_cleared() -> None:
    held = kept(a=1, b=2)
    held.clear()
    assert (len(held), held.nbytes, names(held)) == (0, 0, "")
