"""Numbers and nouns that agree."""

from __future__ import annotations

import re


def counted(number: int, noun: str) -> str:
    """`1 word`, `3 words`, `2 passes`, `1,024 entries`; the last word of `noun` is what is counted."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """`words`, `passes`, `entries`, `branches`."""
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|z|ch|sh)$", noun) else f"{noun}s"
