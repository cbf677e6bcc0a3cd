"""One sweep at a time writes to a destination."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect.store.lock import FolderLock
from dia2.inspect.sweeps.destination import Destination

LOCK = "lock.json"
_BEAT = 20.0  # seconds after which whoever holds a remote lock says so again
_STALE = 90.0  # seconds of silence after which it is nobody's any more
_NEVER = 1e11  # seconds since 1970 that no clock shows
_SETTLE = 1.0  # seconds in which of two that write at a time one learns that it was the first


@contextmanager
def locked(there: Destination) -> Iterator[None]:
    """One sweep at a time writes to a destination. The lock of one that was killed is taken over.

    Raises:
        UsageError: another one writes there, or a folder cannot be made.
        Dia2Error: the lock cannot be read or written.
    """
    if there.local is not None:
        with _folder(there.local, there):
            yield
        return
    lock = _RemoteLock(there)
    try:
        yield
    except BaseException:
        with suppress(Dia2Error):  # what came first is told, and the lock is soon nobody's
            lock.let_go()
        raise
    lock.let_go()


@contextmanager
def _folder(folder: Path, there: Destination) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
    except UsageError as error:
        raise UsageError(f"Another sweep writes to {there}: wait until it ends, or write elsewhere.") from error
    except OSError as error:
        raise UsageError(f"Nothing can be written to {there} ({error.strerror}): write elsewhere.") from error
    try:
        yield
    finally:
        lock.release()


class _RemoteLock:
    """A note that says again and again that it is held."""

    def __init__(self, there: Destination) -> None:
        """Take it.

        Raises:
            UsageError: another sweep has it.
        """
        self._there, self._ours = there, secrets.token_hex(8)
        self._refuse(_held(there))
        self._say()
        time.sleep(_SETTLE)
        held = _held(there)
        if held is None or held.get("by") != self._ours:
            self._refuse(held)
        self._over = threading.Event()
        self._beat = threading.Thread(target=self._go_on, daemon=True, name="dia2-sweep-lock")
        self._beat.start()

    def let_go(self) -> None:
        """It is nobody's, if it was not taken over.

        Raises:
            Dia2Error: it cannot be removed.
        """
        self._over.set()
        self._beat.join()
        if self._is_ours():
            self._there.remove(LOCK)

    def _refuse(self, held: dict[str, Any] | None) -> None:
        if held is None or (held.get("host") == socket.gethostname() and not _lives(held.get("pid"))):
            return
        age = time.time() - _number(held.get("time"))
        if 0 <= age <= _STALE:  # a time that is still to come is no time
            raise UsageError(
                f"Another sweep wrote to {self._there} {age:.0f} s ago, on {held.get('host')}: wait until it ends; if "
                f"it was killed, its lock is nobody's after {_STALE:.0f} s."
            )

    def _say(self) -> None:
        note = {"by": self._ours, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        self._there.write(LOCK, json.dumps(note).encode())

    def _go_on(self) -> None:
        while not self._over.wait(_BEAT):
            with suppress(Dia2Error):  # whoever writes results there says so
                if self._is_ours():
                    self._say()

    def _is_ours(self) -> bool:
        held = _held(self._there)
        return held is not None and held.get("by") == self._ours


def _held(there: Destination) -> dict[str, Any] | None:
    content = there.read(LOCK)
    try:
        found = None if content is None else json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _number(value: object) -> float:
    """A time of a note; long ago if it is none."""
    return float(value) if isinstance(value, int | float) and 0 < value < _NEVER else 0.0


def _lives(pid: object) -> bool:
    """Whether a process of this machine is there."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
