"""`dia2 trace diff` of Dia: where two runs part."""

from __future__ import annotations

from dia.adapter.trace import DiaTrace


def does(trace: DiaTrace, call: int) -> str:
    """Which rows a call reads and writes."""
    return f"reads row {call}, writes row {call + 1}" if trace.phase[call] else f"reads row {call}, which is given"


def where(trace: DiaTrace, call: int) -> str:
    """Which call."""
    return f"call {call} · {'loop' if trace.phase[call] else 'prefill'} · {does(trace, call)}"
