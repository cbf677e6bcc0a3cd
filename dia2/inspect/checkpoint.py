"""Whether a trace belongs to a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dia2.errors import TraceError, UsageError
from dia2.inspect.fingerprint import fingerprint
from dia2.inspect.trace import Trace
from dia2.runtime.context import RuntimeContext


def check_checkpoint(trace: Trace, runtime: RuntimeContext) -> None:
    """Refuse to continue or recompute a trace with weights that did not make it.

    Raises:
        UsageError: config or weights are others.
        TraceError: tokens were taken out of the trace.
    """
    check_hashes(trace.path, fingerprint(runtime.assets), trace.run.hashes)
    if trace.manifest.redacted:
        what = ", ".join(part for part in ("voice", "text") if part in trace.manifest.redacted) or "in some way"
        raise TraceError(
            f"{trace.path} was redacted ({what}), so it can be looked at, not computed with: use the original."
        )


def check_hashes(path: Path, ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> None:
    """Refuse a checkpoint with hashes `ours` for the trace at `path`, whose run had `theirs`.

    Raises:
        UsageError: config or weights are others.
    """
    for part in ("config", "weights"):
        if None not in (ours.get(part), theirs.get(part)) and ours[part] != theirs[part]:
            raise UsageError(
                f"Trace {path} was made with another checkpoint (its {part} differ): open the one that made it."
            )
