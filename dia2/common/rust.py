"""Calls into libraries that are written in Rust, tokenizers and safetensors: a panic of theirs becomes an exception.

Rust prints a panic on standard error by itself, below Python; to silence that would silence other threads too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RustPanicError(RuntimeError):
    """A library gave up on what it was given."""


@contextmanager
def calling_rust() -> Iterator[None]:
    """Turn a panic inside this block, which is a BaseException and no Exception, into a `RustPanicError`.

    Ctrl-C and `SystemExit` pass.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or not _is_panic(error):
            raise
        raise RustPanicError(str(error)) from error


def _is_panic(error: BaseException) -> bool:
    """Every library has a class of its own for them, which none of them offers."""
    kind = type(error)
    return (kind.__module__, kind.__name__) == ("pyo3_runtime", "PanicException")
