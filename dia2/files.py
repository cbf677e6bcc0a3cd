"""Writing files so that a crash, a full disk or a second Ctrl-C leaves the old file or the new one, never half."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from dia2.errors import Dia2Error, UsageError


def check_writable(path: str | Path) -> None:
    """Fail now, not after minutes of work, if a file cannot be created at `path`.

    Raises:
        UsageError: the folder is missing or read-only, or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"Output {path} is a folder: give the name of a file in it.")
    if not path.parent.is_dir():
        raise UsageError(f"Output folder {path.parent} does not exist: create it, or write elsewhere.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"Output folder {path.parent} is not writable ({error.strerror}): write elsewhere.") from error


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, then rename it there.

    Raises:
        Dia2Error: the disk is full or the folder is gone or read-only; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise Dia2Error(
            f"{path} could not be written ({error.strerror}): free some space or write elsewhere."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)  # gone already when the rename succeeded
