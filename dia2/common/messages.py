"""What a message may hold, wherever it is made: one line, nothing that steers a terminal, no value at full length.

Names of files, tensors and tokens, and what libraries say of them, are data, and data may be hostile. Errors pass
through `sentence` when they are made, the package's log when a line is written, warnings through `warn`.
"""

from __future__ import annotations

import logging
import re
import unicodedata
import warnings

LONGEST = 1000  # characters
_TAIL = 400  # of them at the end, where a message says what to do
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, line-breaking and direction characters
# The same but for what only joins characters, or parts them unseen.
_TURNING = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, joined: bool = False) -> str:
    """`text` without control, line-breaking and direction characters, which data must not send to a terminal.

    With `joined` the other invisible ones stay, which scripts and emoji are joined by; not every terminal bears them.
    """
    if text.isprintable():  # most are, and Python knows it at once
        return text
    if joined:
        return _TURNING.sub("�", text)
    return "".join("�" if unicodedata.category(char) in _STEERING else char for char in text)


def sentence(text: str) -> str:
    """A message as it may be shown: on one line, printable, and of at most 1,000 characters, cut in its middle."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _TAIL - 3]} … {text[-_TAIL:]}"
    if text.isprintable():
        return text
    return printable("".join(" " if char in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029" else char for char in text))


def warn(message: str, *, stacklevel: int = 1) -> None:
    """`warnings.warn`, for whatever names a file or something in it."""
    warnings.warn(sentence(message), stacklevel=stacklevel + 1)


def _clean(record: logging.LogRecord) -> bool:
    """A filter that keeps every line of the log, as it may be shown."""
    message = record.getMessage()
    if (shown := sentence(message)) != message:
        record.msg, record.args = shown, None
    return True


logging.getLogger("dia2").addFilter(_clean)  # the one logger that this project has
