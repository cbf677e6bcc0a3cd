"""A checkpoint's weights may lie in several files: an index beside them says which."""

from __future__ import annotations

import json
from pathlib import Path

from dia2.common.checks import TooLargeError, read_small, short
from dia2.common.errors import CheckpointError, one_line

INDEX = "model.safetensors.index.json"
_MOST = 1000  # files
_LARGEST = 16 << 20  # bytes of an index


def weight_files(path: Path) -> list[Path]:
    """`path` itself; or, if it is an index, the files beside it that it names.

    Raises:
        CheckpointError: the index cannot be read, or names something else than files beside it.
    """
    if path.suffix != ".json":
        return [path]
    try:
        raw = json.loads(read_small(path, _LARGEST))
        names = sorted(set(raw["weight_map"].values()))
    except (OSError, TooLargeError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"The index {path} cannot be read ({one_line(error)}): download it again.") from error
    if not 1 <= len(names) <= _MOST:
        raise CheckpointError(f"The index {path} names {len(names):,} files: download it again.")
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"The index {path} names {short(name)}, which is not a safetensors file beside it.")
    return [path.parent / name for name in names]
