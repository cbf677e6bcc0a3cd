"""Numbers as they are read best, and nouns that agree with them."""

from __future__ import annotations

import math
import re


def counted(number: int, noun: str) -> str:
    """`1 word`, `3 words`, `2 passes`, `1,024 entries`; the last word of `noun` is what is counted."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """`words`, `passes`, `entries`, `branches`."""
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|z|ch|sh)$", noun) else f"{noun}s"


def duration(seconds: float | None) -> str:
    """Seconds as they are read best."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def milliseconds(seconds: float | None) -> str:
    """Seconds in 5 characters: a first frame that compiles can take a minute."""
    if seconds is None:
        return ""
    return f"{seconds * 1e3:.1f}" if seconds < 1 else f"{min(seconds * 1e3, 99_999):.0f}"


def number(value: float | None, places: int = 2) -> str:
    """A number, or words for one that is none."""
    if value is None:
        return "–"
    return f"{value:.{places}f}" if math.isfinite(value) else str(value).replace("inf", "∞")


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: `None`."""
    return value if math.isfinite(value) else None
