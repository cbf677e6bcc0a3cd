"""Whether a trace and a checkpoint belong together, by the hashes of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dia2.common.errors import UsageError


def check_same(
    path: Path, ours: Mapping[str, object], theirs: Mapping[str, object], parts: Sequence[str] = ("config", "weights")
) -> None:
    """Refuse a checkpoint with hashes or facts `ours` for the trace at `path`, whose run had `theirs`.

    Raises:
        UsageError: one of `parts` is known of both, and not the same.
    """
    for part in parts:
        if None not in (ours.get(part), theirs.get(part)) and ours[part] != theirs[part]:
            raise UsageError(
                f"Trace {path} was made with another checkpoint (its {part} differ): open the one that made it."
            )
