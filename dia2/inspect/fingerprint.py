"""SHA-256 of a checkpoint's parts, remembered by path, size and time: nobody reads 7 GB twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.assets import Assets
from dia2.checks import read_small
from dia2.errors import Dia2Error
from dia2.files import write_atomically

if TYPE_CHECKING:
    from dia.assets import Source

logger = logging.getLogger("dia2")

_SLOW = 1 << 30  # bytes from which reading a file is worth a word
_REMEMBERED = 1000  # files


def fingerprint(assets: Assets) -> dict[str, str | None]:
    """Hashes of config, weights, tokenizer and codec; none for a part that is no local file or folder."""
    return {
        "config": _hash(assets.config_path),
        "weights": _hash(assets.weights_path),
        "tokenizer": _hash(Path(assets.tokenizer)),
        "codec": _hash(Path(assets.mimi)),
    }


def dia_fingerprint(source: Source, *, codec: bool) -> dict[str, str | None]:
    """Hashes of a Dia checkpoint's config, weights and codec; none for a part that is no local file or folder."""
    return {
        "config": _hash(source.config),
        "weights": _hash_files(source.weight_files),
        "codec": _hash(Path(source.dac)) if codec else None,
    }


def _hash(path: Path) -> str | None:
    if path.is_dir():
        return _hash_files([file for file in sorted(path.iterdir()) if file.is_file()], always_names=True)
    return _hash_file(path) if path.is_file() else None


def _hash_files(files: Sequence[Path], *, always_names: bool = False) -> str | None:
    """Of several files with their names; of one alone its own, unless its name is to count. None if one is gone."""
    if not all(file.is_file() for file in files):
        return None
    if len(files) == 1 and not always_names:
        return _hash_file(files[0])
    parts = [f"{file.name}:{_hash_file(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hash_file(path: Path) -> str:
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    known = _load()
    found = known.get(key)
    if isinstance(found, str) and len(found) == 64:
        return found
    if status.st_size >= _SLOW:
        logger.info("hashing %s, once", path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = _load() | {key: digest}
    with suppress(Dia2Error, OSError):  # a cache that cannot be written only costs time
        _store().parent.mkdir(parents=True, exist_ok=True)
        kept = dict(list(known.items())[-_REMEMBERED:])
        write_atomically(_store(), json.dumps(kept, indent=0).encode())
    return digest


def _store() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dia2" / "hashes.json"


def _load() -> dict[str, Any]:
    try:
        content = json.loads(read_small(_store()))
    except (OSError, ValueError):  # not there yet, or damaged: hash anew
        return {}
    return content if isinstance(content, dict) else {}
