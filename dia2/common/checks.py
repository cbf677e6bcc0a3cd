"""Questions that every reader of hostile values asks."""

from __future__ import annotations

import errno
import math
import os
import stat
from dataclasses import fields
from numbers import Real
from pathlib import Path
from typing import Any, TypeGuard

from dia2.common.errors import UsageError

MAX_HEADER = 1 << 20  # bytes of a safetensors file's header; published ones have a tenth of that
_OPENED = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite int or float, and no bool; an int beyond the floats counts as infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def plain(value: Any) -> Any:
    """A scalar of NumPy or torch as the Python number, or bool, that it is; whatever else as it is.

    An array with a dimension is no number, and neither is a date; a float stays one, also if it is whole.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # torch's dtypes have none; NumPy's dates are M and m
    if getattr(value, "ndim", None) != 0 or kind not in "biuf" or getattr(value, "is_meta", False):
        return value
    number = value.item()
    return number if isinstance(number, int | float) or not isinstance(number, Real) else float(number)  # long double


def whole(value: object) -> int | None:
    """A whole number, of Python, NumPy or torch, as a plain int; `None` if it is none, as a bool or 3.0."""
    number = plain(value)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def counted_from_0(value: object, what: str) -> int:
    """A number by which the caller names one of many, as a plain int; whether it is there is another question.

    Args:
        value: of Python, NumPy or torch.
        what: it names: `call`, `column`, `layer` …

    Raises:
        UsageError: it is no whole number.
    """
    number = whole(value)
    if number is None:
        raise UsageError(f"A {what} is a whole number from 0, not {short(value)}.")
    return number


def make_plain(config: Any) -> None:
    """Let every number in a dataclass be a plain one, as traces write them; belongs first in `__post_init__`."""
    for field in fields(config):
        object.__setattr__(config, field.name, plain(getattr(config, field.name)))


def a_path(value: Any) -> Any:
    """Whatever stands for a path, as an entry of `os.scandir` does, as a `Path`; all else, texts included, as it is."""
    return Path(value) if isinstance(value, os.PathLike) else value


def is_file(path: str | Path) -> bool:
    """An ordinary file; a name that no file can have (too long, with a NUL) is none. pathlib raises there."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """A folder, likewise."""
    return os.path.isdir(path)  # noqa: PTH112


def short(value: object) -> str:
    """A value as an error shows it; Python has no text for an int of thousands of digits, nor for deep lists."""
    if isinstance(value, int) and abs(value) >= 1 << 128:
        return "a huge number"
    try:
        text = repr(value)
    except RecursionError:
        return "a value nested too deep"
    return text if len(text) <= 60 else text[:60] + "…"


class TooLargeError(ValueError):
    """A file has more bytes than anything of its kind needs."""


class NotAFileError(OSError):
    """Where a file should be is a pipe, a device or a socket, or a link to one: to read it could wait for ever."""

    def __str__(self) -> str:
        return str(self.strerror)


def require_ordinary(path: str | Path) -> None:
    """Refuse what is there instead of a file. Links to files are good, as caches of the hub have them.

    For files that a folder lays out by itself; what the user names may be a pipe.

    Raises:
        OSError: nothing is there.
        NotAFileError: says what it is.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116  # as above
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # of a folder reading says so itself
        return
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise NotAFileError(errno.EINVAL, f"it is {kind}, not a regular file")


def read_small(path: str | Path, limit: int = 1 << 20, *, pipes: bool = False) -> bytes:
    """The content of a file that has no reason to be large.

    Args:
        path: of the file.
        limit: bytes.
        pipes: it may be a pipe, since the user named it. One that a shell has opened, as for `<(…)`, always may.

    Raises:
        OSError: as reading does.
        NotAFileError: it is not a regular file.
        TooLargeError: it has more than `limit` bytes.
    """
    if not pipes and not str(path).startswith(_OPENED):
        require_ordinary(path)
    with Path(path).open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLargeError(f"larger than {limit >> 20} MB")
    return content


def check_header(path: str | Path) -> None:
    """Refuse a safetensors file whose header is larger than any model's, before the library takes memory to parse it.

    Raises:
        OSError: as reading does.
        NotAFileError: it is not a regular file.
        TooLargeError: its first eight bytes claim more than `MAX_HEADER`.
    """
    require_ordinary(path)
    with Path(path).open("rb") as file:
        claimed = int.from_bytes(file.read(8), "little")
    if claimed > MAX_HEADER:
        raise TooLargeError(f"its header claims {claimed:,} bytes, more than any model's")
