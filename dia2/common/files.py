"""Writing files so that a crash, a full disk or a second Ctrl-C leaves the old file or the new one, never half."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dia2.common.checks import is_folder
from dia2.common.errors import Dia2Error, UsageError

_TEMPORARY = ".dia2-"  # begins the name of a file that is not whole yet


def check_writable(path: str | Path) -> None:
    """Fail now, not after minutes of work, if a file cannot be created at `path`.

    Raises:
        UsageError: the folder is missing or read-only, `path` is a folder, or no file can have that name.
    """
    path = Path(path)
    if is_folder(path):
        raise UsageError(f"Output {path} is a folder: give the name of a file in it.")
    try:
        path.lstat()
    except FileNotFoundError:
        pass  # it will be created
    except NotADirectoryError as error:
        raise UsageError(f"Output folder {path.parent} is not a folder: write elsewhere.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"Output {str(path)[:100]!r} is not a possible file name: choose another.") from error
    if is_device(path):
        return
    folder = _real(path).parent
    if not folder.is_dir():
        raise UsageError(f"Output folder {folder} does not exist: create it, or write elsewhere.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"Output folder {folder} is not writable ({error.strerror}): write elsewhere.") from error


def check_sound_name(path: str | Path) -> None:
    """A sound is written as WAV: refuse a name that says anything else. Pipes and devices may have any.

    Raises:
        UsageError: says what can be written.
    """
    stem, dot, suffix = Path(path).name.rpartition(".")
    if suffix and dot and suffix.lower() != "wav" and not is_device(path):
        raise UsageError(
            f"Output {path} says .{suffix}, and only WAV can be written: call it {stem or suffix}.wav, and convert "
            "that if need be."
        )


def check_sound_writable(path: str | Path) -> None:
    """`check_writable` for a sound.

    Raises:
        UsageError: as `check_writable`, or as `check_sound_name`.
    """
    check_sound_name(path)
    check_writable(path)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, then rename it there.

    A link is followed; to a pipe or a device the content is simply written.

    Raises:
        Dia2Error: the disk is full or the folder is gone or read-only; nothing is left behind.
    """
    path = Path(path)
    try:
        if is_device(path):
            path.write_bytes(content)
        else:
            _replace(_real(path), content)
    except OSError as error:
        raise Dia2Error(
            f"{path} could not be written ({error.strerror}): free some space or write elsewhere."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, renamed to it when the block ends well and removed when it does not."""
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder in which nobody writes now."""
    for path in folder.glob(f"{_TEMPORARY}{'[0-9a-f]' * 16}"):
        path.unlink(missing_ok=True)


def _real(path: Path) -> Path:
    """Where a link leads: renaming over it would replace the link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def is_device(path: str | Path) -> bool:
    """A pipe, a device or a socket, which must be written to and never replaced."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # as in dia2.common.checks: a name that no file can have is none
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
