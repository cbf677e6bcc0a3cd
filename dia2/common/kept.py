"""Small facts that are worth working out once: JSON files in the user's cache folder."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from dia2.common.checks import read_small
from dia2.common.errors import Dia2Error
from dia2.common.files import write_atomically


def kept(name: str) -> dict[str, Any]:
    """What the file `name` says; nothing where it is damaged or not there: then all is worked out anew."""
    try:
        content = json.loads(read_small(_path(name)))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def keep(name: str, key: str, value: Any, most: int) -> None:
    """Add to the file `name`, of which the newest `most` stay. Where it cannot be written, nothing is remembered."""
    content = kept(name) | {key: value}
    with suppress(Dia2Error, OSError):
        _path(name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_path(name), json.dumps(dict(list(content.items())[-most:]), indent=0).encode())


def cache_folder() -> Path:
    """Where a user's programs keep what can be made again; it need not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dia2"


def _path(name: str) -> Path:
    return cache_folder() / name
