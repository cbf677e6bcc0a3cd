"""Where a sweep writes: a folder here, or anything that fsspec knows, such as s3:// or hf://."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dia2.common.checks import is_folder
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.files import write_atomically
from dia2.inspect.store.layout import MANIFEST

if TYPE_CHECKING:
    import pyarrow.fs


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
        if not self.url:
            raise UsageError("A sweep writes to a folder or a URL: name one.")
        try:
            self.fs, root = url_to_fs(self.url)
        except Exception as error:
            raise UsageError(f"Nothing can be written to {self.url}: {one_line(error)}.") from error
        if not str(root).strip("/"):
            raise UsageError(f"A sweep writes to a folder, not to {self.url or 'nothing'}: name one.")
        self.root = str(root).rstrip("/")
        self.local = Path(self.root) if isinstance(self.fs, LocalFileSystem) else None
        if self.local is not None and os.path.lexists(self.local) and not is_folder(self.local):
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
        found = self._listed(self.fs.find, folder)
        return sorted(str(PurePosixPath(path).relative_to(PurePosixPath(self.root))) for path in found)

    def children(self, folder: str) -> list[str]:
        """Names of what is in a folder itself.

        Raises:
            Dia2Error: it cannot be read.
        """
        found = self._listed(partial(self.fs.ls, detail=False), folder)
        return sorted(PurePosixPath(path).name for path in found)

    def _listed(self, listing: Callable[[str], list[str]], folder: str) -> list[str]:
        """What a listing of the file system gives for a folder, as it is now; nothing if there is none."""
        with self._telling("read"):
            self.fs.invalidate_cache()
            try:
                return listing(self.path(folder))
            except FileNotFoundError:
                return []

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
