"""Every error that a user is meant to read: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from dia2.common.messages import sentence


def one_line(error: BaseException) -> str:
    """The first line of a library's message, cut to what fits into a sentence of ours."""
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".")[:200] if lines else type(error).__name__


class Dia2Error(Exception):
    """Something failed that the user can act on (a file, the network, a full disk); the command line exits with 1."""

    def __init__(self, message: str = "") -> None:
        super().__init__(sentence(message))  # it may name what a file holds, and Python prints it as it stands


class UsageError(Dia2Error, ValueError):
    """What the caller gave is not acceptable (an option, a script, a prefix); the command line exits with 2."""


class TraceError(Dia2Error):
    """A trace is damaged, of another version, or lacks what was asked of it."""


class CheckpointError(Dia2Error):
    """A checkpoint's config, weights, tokenizer or codec is missing, damaged or does not fit together."""
