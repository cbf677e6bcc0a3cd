"""Questions that every reader of hostile values asks."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite int or float, and no bool; an int beyond the floats counts as infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_file(path: str | Path) -> bool:
    """An ordinary file; a name that no file can have (too long, with a NUL) is none. pathlib raises there."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """A folder, likewise."""
    return os.path.isdir(path)  # noqa: PTH112


def short(value: object) -> str:
    """A value as an error shows it; an int of thousands of digits has no decimal form in Python."""
    if isinstance(value, int) and abs(value) >= 1 << 128:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


class TooLargeError(ValueError):
    """A file has more bytes than anything of its kind needs."""


def read_small(path: str | Path, limit: int = 1 << 20) -> bytes:
    """The content of a file that has no reason to be large.

    Raises:
        OSError: as reading does.
        TooLargeError: it has more than `limit` bytes.
    """
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLargeError(f"larger than {limit >> 20} MB")
    return content
