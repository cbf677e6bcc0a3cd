"""Which calls, columns or rows a view shows."""

from __future__ import annotations

from typing import Any

from dia2.common.checks import counted_from_0, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.terminal.did_you_mean import nearest
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.trace.family import OtherFamilyError
from dia2.inspect.trace.find import bare
from dia2.inspect.trace.trace import Trace

SHORT = 24  # calls shown where nothing was asked for
_BEFORE_WORD = 4  # of them, those before the call that took a word


def choose_calls(
    trace: Trace[Any], first: int | None = None, last: int | None = None, word: str | None = None
) -> tuple[int, int]:
    """The calls to show, first and last one.

    Args:
        trace: with at least one call.
        first: `None`: the start, or a little before `word`.
        last: included; `None`: 24 calls in all.
        word: the first call that took this word, instead of `first`.

    Raises:
        UsageError: no such calls, or no such word, or a word of a family whose calls take none.
        TraceError: the trace has no calls at all.
    """
    if word is not None:
        if first is not None:
            raise UsageError("Give a word or a first call, not both.")
        found = _calls_of(trace, word)
        if not found:
            raise UsageError(f"No call of {trace.path} took the word {word[:60]!r}{_instead(trace, word)}")
        first = max(0, found[0] - _BEFORE_WORD)
    if not len(trace):
        raise TraceError(f"{trace.path} holds no calls ({trace.state}).")
    return choose_span(first, last, fits=SHORT, count=len(trace), what="call", of=str(trace.path))


def _calls_of(trace: Trace[Any], word: str) -> list[int]:
    try:
        return trace.find(word=word)
    except OtherFamilyError as error:
        raise UsageError(
            f"{trace.adapter.title} takes no words one by one, so --word finds none: choose calls by --from and --to."
        ) from error


def _instead(trace: Trace[Any], word: str) -> str:
    """What may have been meant, or why the word was not taken."""
    words: list[TraceWord] = getattr(trace, "words", [])  # a family can find words and have no list of them
    taken = [known.text for known in words if known.call is not None]
    if near := nearest(bare(word), dict.fromkeys(map(bare, taken))):
        return f": did you mean {next(text for text in taken if bare(text) == near)[:60]!r}?"
    left = any(bare(known.text) == bare(word) for known in words)
    return ": it is in the script, and the run ended before it." if left and bare(word) else "."


def choose_columns(
    trace: Trace[Any], first: int | None, last: int | None, *, fits: int, count: int, what: str = "column"
) -> tuple[int, int]:
    """The columns of a grid to show, of `count` in all; see `choose_span`.

    Raises:
        UsageError: there are no such columns.
        TraceError: the grid has none at all.
    """
    if not count:
        raise TraceError(f"The grid of {trace.path} has no {what}s ({trace.state}).")
    return choose_span(first, last, fits=fits, count=count, what=what, of=f"the grid of {trace.path}")


def choose_span(first: int | None, last: int | None, *, fits: int, count: int, what: str, of: str) -> tuple[int, int]:
    """The first and the last of what is shown: as many as fit where no end is given.

    Args:
        first: `None`: the first there is.
        last: included.
        fits: so many without `last`.
        count: so many there are, at least one.
        what: `call`, `column` or `row`.
        of: what has them, in words.

    Raises:
        UsageError: there are no such ones.
    """
    first = 0 if first is None else counted_from_0(first, what)
    if not 0 <= first < count:
        raise UsageError(f"There is no {what} {short(first)}: {of} has {what}s 0 … {count - 1}.")
    last = first + fits - 1 if last is None else counted_from_0(last, what)
    if last < first:
        raise UsageError(
            f"{what.capitalize()}s {first} to {last} do not exist: the last must not come before the first."
        )
    return first, min(last, count - 1)
