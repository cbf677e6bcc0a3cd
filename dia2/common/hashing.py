"""SHA-256 of files, remembered by path, size and time: nobody reads 7 GB twice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from dia2.common.kept import keep, kept

logger = logging.getLogger("dia2")

_SLOW = 1 << 30  # bytes from which reading a file is worth a word
_FILE, _REMEMBERED = "hashes.json", 1000  # files that are remembered


def hash_path(path: Path) -> str | None:
    """Of a file, or of the files of a folder with their names; `None` if nothing is there."""
    if path.is_dir():
        return hash_files([file for file in sorted(path.iterdir()) if file.is_file()], always_names=True)
    return _hash_file(path) if path.is_file() else None


def hash_files(files: Sequence[Path], *, always_names: bool = False) -> str | None:
    """Of several files with their names; of one alone its own, unless its name is to count; `None` if one is gone."""
    if not all(file.is_file() for file in files):
        return None
    if len(files) == 1 and not always_names:
        return _hash_file(files[0])
    parts = [f"{file.name}:{_hash_file(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hash_file(path: Path) -> str:
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    found = kept(_FILE).get(key)
    if isinstance(found, str) and len(found) == 64:
        return found
    if status.st_size >= _SLOW:
        logger.info("hashing %s, once", path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    keep(_FILE, key, digest, _REMEMBERED)
    return digest
