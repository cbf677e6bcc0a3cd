"""Refusing what cannot be computed with: what is no trace of Dia2, and a trace that another checkpoint made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hashing import hash_path
from dia2.inspect.store.fingerprint import check_same
from dia2.inspect.trace.trace import Trace
from dia2.runtime.assets import Assets
from dia2.runtime.context import RuntimeContext


def fingerprint(assets: Assets) -> dict[str, str | None]:
    """Hashes of config, weights, tokenizer and codec; `None` for a part that is no local file or folder.

    With a LoRA its own comes as `lora`, and that of the weights is of both: whatever belongs to the weights alone is no
    more taken for theirs.
    """
    weights = hash_path(assets.weights_path)
    lora = {} if assets.lora is None else {"lora": hash_path(assets.lora)}
    return lora | {
        "config": hash_path(assets.config_path),
        "weights": hashlib.sha256(f"{weights} {lora['lora']}".encode()).hexdigest() if lora else weights,
        "tokenizer": hash_path(Path(assets.tokenizer)),
        "codec": hash_path(Path(assets.mimi)),
    }


def check_trace(trace: object, what: str) -> None:
    """Refuse a trace that is none of Dia2.

    Args:
        trace: as the caller gave it.
        what: what needs one, as a subject: `plots.grid`.

    Raises:
        UsageError: it is one of another family, or no trace at all.
    """
    if isinstance(trace, Dia2Trace):
        return
    if isinstance(trace, Trace):
        raise UsageError(
            f"{what} needs a trace of Dia2, and {trace.path} is one of {trace.adapter.title}: look at it with "
            "trace.explore(), trace.to_html() or dia2 trace."
        )
    raise UsageError(f"{what} needs a trace of Dia2, not {short(trace)}: open one by dia2.inspect.load(path).")


def check_checkpoint(trace: Dia2Trace, runtime: RuntimeContext) -> None:
    """Refuse to continue or recompute a trace with weights that did not make it.

    Raises:
        UsageError: config or weights are others, or the LoRA is.
        TraceError: tokens were taken out of the trace.
    """
    ours, theirs = fingerprint(runtime.assets), trace.run.hashes
    if ours.get("lora") != theirs.get("lora"):
        was = f"the LoRA {made[:8]}" if (made := theirs.get("lora")) else "no LoRA"
        now = f"with {runtime.assets.lora}" if runtime.assets.lora else "without one"
        raise UsageError(f"Trace {trace.path} was made with {was}, and this checkpoint is loaded {now}: give the same.")
    check_same(trace.path, ours, theirs)
    if trace.manifest.redacted:
        what = ", ".join(part for part in ("voice", "text") if part in trace.manifest.redacted) or "in some way"
        raise TraceError(
            f"{trace.path} was redacted ({what}), so it can be looked at, not computed with: use the original."
        )
