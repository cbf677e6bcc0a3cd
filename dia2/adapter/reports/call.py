"""The facts of `dia2 trace frames --call N`: all there is of one call, asked for once."""

from __future__ import annotations

from dataclasses import asdict

from dia2.adapter.frame import Frame
from dia2.adapter.machine import Labels, labels
from dia2.adapter.reports.calls import COUNTS, decoded_twice, stream_facts
from dia2.adapter.reports.words import part_facts, token_facts
from dia2.adapter.trace import Dia2Trace
from dia2.common.hooks import MachineRow
from dia2.common.wording import finite
from dia2.inspect.schema.report import Facts, picked
from dia2.inspect.schema.report_draws import draw_facts
from dia2.inspect.trace.header import no_draws

_AROUND = 6  # calls shown before and after in the text streams
_NEXT = 6  # entries of the queue that are named


def call_facts(trace: Dia2Trace, call: int, times: bool) -> Facts:
    """Machine before and after, text streams around the call, draws, codes, caches, times.

    Raises:
        TraceError: there is no such call.
    """
    frame = trace.frame(call)
    call = frame.call
    last = min(len(trace) - 1, call + _AROUND)
    parts = list(labels(trace, last + 1, queues=(call - 1, call)))
    before, config, twice = parts[call - 1] if call else None, trace.config_at(call), decoded_twice(trace)
    streams = [stream_facts(trace, at, parts[at]) for at in range(max(0, call - _AROUND), last + 1)]
    return {
        "path": str(trace.path),
        "call": call,
        **picked(frame, "phase", "step", "position", "slot"),
        "twice": list(twice) if twice is not None and call in twice else None,
        "sampling": picked(asdict(config), "cfg_scale", "cfg_filter_k", "text", "audio"),
        "edits": [str(edit) for edit in trace.run.edits if edit.call == call],
        "before": _machine_facts(trace, call - 1, frame.before, before),
        "after": _machine_facts(trace, call, frame.machine, parts[call]),
        "action": next(said["action"] for said in streams if said["call"] == call),
        "seen_text": _seen_text(trace, frame, before),
        "streams": streams,
        "no_draws": None if frame.draws else no_draws(trace, call),
        "draws": [draw_facts(draw, trace.token_names(draw.name)) for draw in frame.draws],
        "seen": frame.audio,
        "codes": frame.codes,
        "kv": {"transformer": frame.kv_transformer, "depformer": frame.kv_depformer},
        "seconds": {name: finite(value) for name, value in asdict(frame.seconds).items()}
        if frame.seconds is not None and times
        else None,
    }


def _seen_text(trace: Dia2Trace, frame: Frame, before: Labels | None) -> list[Facts]:
    """Main and second token that the transformer saw: what the call before emitted."""
    pair = (None, None) if before is None else (before.main, before.second)
    return [
        token_facts(trace, token, part if part is not None and part.token == token else None)
        for token, part in zip(frame.text, pair, strict=True)
    ]


def _machine_facts(trace: Dia2Trace, call: int, row: MachineRow, parts: Labels | None) -> Facts:
    return {
        **picked(row, *COUNTS),
        "next": [entry.text if entry.tokens else None for entry in trace.queue_at(call)[:_NEXT]],
        "pending": [part_facts(part) for part in (parts.pending if parts else [])],
        "lookahead": [part_facts(part) for part in (parts.lookahead if parts else [])],
        "end_step": row.end_step,
    }
