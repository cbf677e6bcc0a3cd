"""Standard input, output and error of a command, where a disk is full or a shell has closed them.

What cannot be printed is an error in a sentence, as for any other file. What cannot be told on standard error can be
told nowhere, so there the work goes on and the exit code speaks.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, TypeVar, cast

from dia2.common.errors import Dia2Error

Result = TypeVar("Result")


def keep_descriptors() -> None:
    """Fill closed descriptors 0, 1 and 2, lest the next file that is opened becomes standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Standard output raises a Dia2Error where it cannot be written, to its last line; standard error gives up.

    A reader that has gone away, as `| head` does, stays a BrokenPipeError.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our characters still gets the text
    out, err = _Output(sys.stdout), _Messages(sys.stderr)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
        try:
            yield
        finally:
            err.flush()


def flush_output() -> None:
    """Write what waits, while an error can still be told."""
    sys.stdout.flush()


def read_input(most: int) -> bytes:
    """At most so many bytes of standard input.

    Raises:
        Dia2Error: it is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise Dia2Error("Standard input is closed, and the script should come from it: give a file or the text itself.")
    try:
        return sys.stdin.buffer.read(most)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Dia2Error(f"Standard input cannot be read ({why}): give a file or the text itself.") from error


class _Stream:
    """Stands for a text stream, or for one that is closed: none."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._do(lambda stream: stream.write(text), len(text))

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def flush(self) -> None:
        if self._stream is not None:
            self._do(lambda stream: stream.flush(), None)

    def _do(self, work: Callable[[TextIO], Result], instead: Result) -> Result:
        raise NotImplementedError


class _Output(_Stream):
    def _do(self, work: Callable[[TextIO], Result], instead: Result) -> Result:
        if self._stream is None:
            raise _unwritten("it is closed")
        try:
            return work(self._stream)
        except OSError as error:
            _silence(self._stream)
            if isinstance(error, BrokenPipeError):
                raise
            raise _unwritten(str(error.strerror)) from error


class _Messages(_Stream):
    def _do(self, work: Callable[[TextIO], Result], instead: Result) -> Result:
        if self._stream is None:
            return instead
        try:
            return work(self._stream)
        except OSError:
            _silence(self._stream)
            self._stream = None
            return instead


def _unwritten(why: str) -> Dia2Error:
    return Dia2Error(
        f"Standard output could not be written ({why}): free some space, or send it elsewhere; files that were written "
        "are whole."
    )


def _silence(stream: TextIO) -> None:
    """Let nothing more be written: Python would try again at its exit, and complain."""
    with suppress(OSError, ValueError, AttributeError):  # it has no descriptor: Python does not close it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
