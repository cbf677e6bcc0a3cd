"""Ctrl-C of a command, from its first moment on.

A KeyboardInterrupt amid an import is lost in some libraries, and comes out of others as another error or with a
traceback. Until a command has something to keep, Ctrl-C during an import therefore ends the process at once: nothing is
lost by it. Elsewhere it is raised, and noted, so that an error that a library makes of it is known for what it is.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

EXIT_CODE = 130
_TIDY = b"\r\x1b[K\x1b[?25h"  # clears the line of a progress bar, and shows the cursor that it hid


class _Watch:
    """The handler of Ctrl-C until there is something to keep."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.caught = False  # whoever runs the command catches what is raised
        self.noted = False  # it was pressed

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.caught or _importing(frame):
            self.leave()
        self.noted = True
        raise KeyboardInterrupt

    def leave(self) -> None:
        """End the process; no library gets to run another line."""
        tidy = _TIDY if os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb" else b""
        try:
            os.write(2, tidy + f"{self.program}: note: interrupted\n".encode())
        finally:
            os._exit(EXIT_CODE)


_watch: _Watch | None = None
_ours = False  # this process is a command's alone


def watch(program: str) -> None:
    """Take Ctrl-C for a command that is this whole process; belongs before every other import.

    Where the process was started with Ctrl-C ignored, or has a handler already, that stays.
    """
    global _watch, _ours
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handler = _Watch(program)
        try:
            signal.signal(signal.SIGINT, handler)
        except ValueError:  # not the main thread, which alone is told of Ctrl-C
            return
        _watch, _ours = handler, True


def begin_catching() -> None:
    """From here on a KeyboardInterrupt is caught, and may be raised."""
    if _watch is not None:
        _watch.caught = True


def was_noted() -> bool:
    """Ctrl-C was pressed before there was something to keep: no error that follows is a fault."""
    return _watch is not None and _watch.noted


def something_to_keep() -> None:
    """From here on Ctrl-C is Python's own, since leaving would lose something; one that was lost is raised now."""
    global _watch
    if _watch is not None:
        lost, _watch = _watch.noted, None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if lost:
            raise KeyboardInterrupt


def end() -> None:
    """All is done: from here on Ctrl-C ends the process, without a traceback of what Python does at its exit."""
    if _ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
