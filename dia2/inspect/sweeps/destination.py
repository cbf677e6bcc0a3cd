"""Where a sweep writes: a folder here, or anything that fsspec knows, such as s3:// or hf://."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.files import write_atomically
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.store.lock import FolderLock

if TYPE_CHECKING:
    import pyarrow.fs

LOCK = "lock.json"
_BEAT = 20.0  # seconds after which whoever holds a remote lock says so again
_STALE = 90.0  # seconds of silence after which it is nobody's any more


class Destination:
    """Files beneath a URL, by names relative to it. What is written is there whole, or not at all."""

    def __init__(self, url: str | Path) -> None:
        """Find it; nothing is made yet.

        Raises:
            UsageError: no file system is known for such a URL, or it is a file.
        """
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        self.url = os.fspath(url)
        try:
            self.fs, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"Nothing can be written to {self.url}: {one_line(error)}.") from error
        self.root = str(root).rstrip("/")
        self.local = Path(self.root) if isinstance(self.fs, LocalFileSystem) else None
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise UsageError(f"{self.url} is a file: give a folder for the sweep.")

    def __str__(self) -> str:
        return self.url

    def path(self, name: str) -> str:
        """Of a file, as the file system knows it."""
        return f"{self.root}/{name}"

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """For pyarrow: a file system, and the path in it."""
        from pyarrow import fs

        if self.local is not None:
            return fs.LocalFileSystem(), str(self.local.resolve())
        return fs.PyFileSystem(fs.FSSpecHandler(self.fs)), self.root

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            Dia2Error: it cannot be written.
        """
        if self.local is not None:
            path = self.local / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Dia2Error(f"{path.parent} cannot be made ({error.strerror}): write elsewhere.") from error
            return write_atomically(path, content)
        with self._telling("written"):
            self.fs.pipe_file(self.path(name), content)  # object stores show a whole object or none
        return None

    def read(self, name: str) -> bytes | None:
        """A file's content; `None` if there is none.

        Raises:
            Dia2Error: it cannot be read.
        """
        try:
            with self._telling("read"):
                self.fs.invalidate_cache()
                return bytes(self.fs.cat_file(self.path(name)))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Of all files beneath a folder, relative to the destination, in order.

        Raises:
            Dia2Error: it cannot be read.
        """
        with self._telling("read"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.find(self.path(folder))
            except FileNotFoundError:
                return []
        return sorted(str(PurePosixPath(path).relative_to(PurePosixPath(self.root))) for path in found)

    def children(self, folder: str) -> list[str]:
        """Names of what is in a folder itself.

        Raises:
            Dia2Error: it cannot be read.
        """
        with self._telling("read"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(self.path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(PurePosixPath(path).name for path in found)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            Dia2Error: it cannot be removed.
        """
        with self._telling("removed"), suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))

    def put(self, folder: Path, name: str) -> None:
        """Copy a folder's files, the manifest last.

        Raises:
            Dia2Error: they cannot be written.
        """
        if not folder.is_dir():
            return
        files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.name == MANIFEST)
        with self._telling("written"):
            for file in files:
                self.fs.put_file(str(file), self.path(f"{name}/{file.relative_to(folder).as_posix()}"))

    def get(self, name: str, folder: Path) -> None:
        """Copy a folder of the destination here.

        Raises:
            Dia2Error: it cannot be read.
        """
        with self._telling("read"):
            self.fs.get(self.path(name), str(folder), recursive=True)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Errors of whatever library it is that writes there, as ours; a file that is not there to be read stays so."""
        try:
            yield
        except Exception as error:
            if isinstance(error, FileNotFoundError) and what != "written":  # then the whole bucket is missing
                raise
            raise Dia2Error(f"{self.url} cannot be {what} ({one_line(error)}).") from error


@contextmanager
def locked(there: Destination) -> Iterator[None]:
    """One sweep at a time writes to a destination. The lock of one that was killed is taken over.

    Raises:
        UsageError: another one writes there.
    """
    if there.local is not None:
        there.local.mkdir(parents=True, exist_ok=True)
        try:
            lock = FolderLock(there.local)
        except UsageError as error:
            raise UsageError(f"Another sweep writes to {there}: wait until it ends, or write elsewhere.") from error
        try:
            yield
        finally:
            lock.release()
        return
    ours = secrets.token_hex(8)
    _take(there, ours)
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(there, ours, over), daemon=True, name="dia2-sweep-lock")
    beat.start()
    try:
        yield
    except BaseException:
        with suppress(Dia2Error):  # what came first is told, and the lock is soon nobody's
            _let_go(there, over, beat)
        raise
    _let_go(there, over, beat)


def _let_go(there: Destination, over: threading.Event, beat: threading.Thread) -> None:
    over.set()
    beat.join()
    there.remove(LOCK)


def _take(there: Destination, ours: str) -> None:
    while (held := _held(there)) is not None:
        if held.get("host") == socket.gethostname() and not _lives(held.get("pid")):
            break
        age = time.time() - float(held.get("time", 0))
        if age > _STALE:
            break
        raise UsageError(
            f"Another sweep wrote to {there} {age:.0f} s ago, on {held.get('host')}: wait until it ends; if it was "
            f"killed, its lock is nobody's after {_STALE:.0f} s."
        )
    _say(there, ours)


def _held(there: Destination) -> dict[str, Any] | None:
    content = there.read(LOCK)
    try:
        found = None if content is None else json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _say(there: Destination, ours: str) -> None:
    note = {"by": ours, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    there.write(LOCK, json.dumps(note).encode())


def _beat(there: Destination, ours: str, over: threading.Event) -> None:
    while not over.wait(_BEAT):
        with suppress(Dia2Error):  # whoever writes results there says so
            _say(there, ours)


def _lives(pid: object) -> bool:
    """Whether a process of this machine is there."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
