"""One writer at a time for a trace's folder."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

from dia2.common.errors import UsageError

if sys.platform != "win32":
    import fcntl


class FolderLock:
    """A lock on a folder itself: no file is left in it, and the system lets go of it when its process ends.

    It belongs to this object and not to its process, so that it holds between threads, and inside one thread, too.
    """

    def __init__(self, folder: Path) -> None:
        """Take it.

        Raises:
            UsageError: another run records there.
            OSError: the folder cannot be opened.
        """
        self._let_go: Callable[[], object] = bool
        if sys.platform == "win32":  # there phases.jsonl, which a writer keeps open, cannot be removed by another
            return
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(opened)
            raise UsageError(
                f"Trace {folder} is being recorded by another run: wait until that ends, or record to another name."
            ) from error
        except OSError:  # a file system that knows no locks
            os.close(opened)
            return
        except BaseException:
            os.close(opened)
            raise
        self._let_go = weakref.finalize(self, _unlock, opened)

    def release(self) -> None:
        """Let go; once more does no harm."""
        self._let_go()


def is_held(folder: Path) -> bool | None:
    """Whether somebody writes to a folder; `None` where the system does not tell.

    Asked by a shared lock that is let go of at once, so that whoever asks does not keep others from asking.

    Returns:
        False also of a folder that is not there.
    """
    if sys.platform == "win32":
        return None
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (OSError, ValueError):  # a name that no folder can have
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(opened)  # and with it the lock
    return False


def _unlock(opened: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(opened, fcntl.LOCK_UN)  # also for a child that was forked and holds it open
    os.close(opened)
