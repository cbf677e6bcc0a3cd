"""Opening a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dia2.common.checks import is_folder
from dia2.common.errors import TraceError
from dia2.inspect.schema.adapter import adapter_of
from dia2.inspect.store.manifest import read_raw_manifest
from dia2.inspect.trace.trace import Trace


def load(path: str | Path) -> Trace[Any]:
    """Open a trace. Nothing in it is executed; draws, logits and audio are read when they are asked for.

    Returns:
        The run as an object of its family's class, such as a `Dia2Trace`, a `DiaTrace` …

    Raises:
        TraceError: there is no trace, it is damaged, of a newer version, or of a model that is not installed.
    """
    path = Path(path)
    if not is_folder(path):
        raise TraceError(f"There is no trace {path}: give the folder that --trace wrote.")
    raw = read_raw_manifest(path)
    family = raw.get("family")
    adapter = adapter_of("dia2" if family is None else family, path)  # as the first traces, and those of no run
    trace: Trace[Any] = adapter.load("trace")(path, raw)
    return trace
