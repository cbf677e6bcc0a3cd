"""Whether a trace belongs to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dia2.common.errors import TraceError
from dia2.inspect.store.fingerprint import check_hashes, hash_path
from dia2.runtime.assets import Assets
from dia2.runtime.context import RuntimeContext

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


def fingerprint(assets: Assets) -> dict[str, str | None]:
    """Hashes of config, weights, tokenizer and codec; `None` for a part that is no local file or folder."""
    return {
        "config": hash_path(assets.config_path),
        "weights": hash_path(assets.weights_path),
        "tokenizer": hash_path(Path(assets.tokenizer)),
        "codec": hash_path(Path(assets.mimi)),
    }


def check_checkpoint(trace: Dia2Trace, runtime: RuntimeContext) -> None:
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
