"""`dia2 trace diff`: where two runs part."""

from __future__ import annotations

from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.report import Cut, Part


def where(trace: Dia2Trace, call: int) -> list[Part]:
    """Which call, and what was being said."""
    kind = "warm-up" if call < trace.warmup_calls else "main loop"
    told = f"call {call} · {kind} · step {int(trace.steps[call])}, "
    spoken = [word for word in trace.words if word.call is not None and word.call <= call]
    return [told, Cut(spoken[-1].text, before="in “", after="”", room=29) if spoken else "before the first word"]
