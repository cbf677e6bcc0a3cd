"""Answering what a front end asks the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dia2.common.errors import Dia2Error, one_line

_LONGEST = 1000  # characters of an error


def answer(send: Callable[..., object], head: dict[str, Any], give: Callable[[], list[bytes]]) -> None:
    """Send an answer, whatever becomes of it: a page that gets none waits.

    Args:
        send: a widget's `send`.
        head: by which the page knows what is answered.
        give: gives the answer's buffers.
    """
    try:
        buffers = give()
    except Dia2Error as error:
        send(head | {"error": str(error)[:_LONGEST]})
    except BaseException as error:  # a fault of ours, or the kernel was interrupted
        send(head | {"error": f"{type(error).__name__}: {one_line(error)}"})
        raise
    else:
        send(head, buffers)
