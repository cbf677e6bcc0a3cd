"""The scripts of a batch, counted from 1 as its files are: `hello-1.wav`."""

from __future__ import annotations

from dia.adapter.trace import DiaTrace


def whose(trace: DiaTrace, script: int) -> str:
    """Of which script a view is, where there are several."""
    return f"script {script + 1} of {trace.run.batch}" if trace.run.batch > 1 else ""
