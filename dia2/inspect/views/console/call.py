"""The facts of one call, see `frame`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from dia2.adapter.frame import Frame
from dia2.adapter.machine import Labels, labels
from dia2.adapter.trace import Dia2Trace
from dia2.common.hooks import MachineRow
from dia2.inspect.schema.draw import BEST, Draw
from dia2.inspect.views.console.frames import decoded_twice
from dia2.inspect.views.console.page import Facts, finite
from dia2.inspect.views.console.words import action_facts, queue_facts, token_facts

AROUND = 6  # calls shown before and after in the text streams
_NEXT = 6  # entries of the queue that are named


def frame_facts(trace: Dia2Trace, call: int, *, script: int = 0, times: bool = True) -> Facts:
    """One call: machine before and after, text streams around it, draws, codes, caches, times.

    Raises:
        TraceError: there is no such call.
    """
    frame = trace.frame(call)
    call = frame.call
    last = min(len(trace) - 1, call + AROUND)
    parts = list(labels(trace, last + 1, queues=(call - 1, call)))
    config = trace.config_at(call)
    twice = decoded_twice(trace)
    seconds = frame.seconds
    names = {trace.model.tokens.action_new_word: "new_word", trace.model.tokens.action_pad: "pad"}
    return {
        "path": str(trace.path),
        "call": call,
        "phase": frame.phase,
        "step": frame.step,
        "position": frame.position,
        "slot": frame.slot,
        "twice": list(twice) if twice is not None and call in twice else None,
        "sampling": {
            "cfg_scale": config.cfg_scale,
            "cfg_filter_k": config.cfg_filter_k,
            "text": asdict(config.text),
            "audio": asdict(config.audio),
        },
        "edits": [str(edit) for edit in trace.run.edits if edit.call == call],
        "before": _machine_facts(trace, call - 1, frame.before, parts[call - 1] if call else None),
        "after": _machine_facts(trace, call, frame.machine, parts[call]),
        "action": action_facts(trace, call, parts[call].taken),
        "seen_text": _seen_text(trace, frame, parts),
        "streams": [_stream_facts(trace, at, parts[at]) for at in range(max(0, call - AROUND), last + 1)],
        "no_draws": _no_draws(trace, frame),
        "draws": [draw_facts(draw, names if draw.name == "action" else {}) for draw in frame.draws],
        "seen": frame.audio,
        "codes": frame.codes,
        "kv": {"transformer": frame.kv_transformer, "depformer": frame.kv_depformer},
        "seconds": None
        if seconds is None or not times
        else {name: finite(getattr(seconds, name)) for name in ("first", "machine", "second", "frame")},
    }


def _seen_text(trace: Dia2Trace, frame: Frame, parts: list[Labels]) -> list[Facts]:
    """Main and second token that the transformer saw: what the call before emitted."""
    before = parts[frame.call - 1] if frame.call else None
    pair = (None, None) if before is None else (before.main, before.second)
    return [
        token_facts(trace, token, part if part is not None and part.token == token else None)
        for token, part in zip(frame.text, pair, strict=True)
    ]


def _machine_facts(trace: Dia2Trace, call: int, row: MachineRow, parts: Labels | None) -> Facts:
    return {
        "padding_budget": row.padding_budget,
        "forced_padding": row.forced_padding,
        "entries_left": row.entries_left,
        "next": [entry.text if entry.tokens else None for entry in trace.queue_at(call)[:_NEXT]],
        "pending": queue_facts(parts.pending if parts else []),
        "lookahead": queue_facts(parts.lookahead if parts else []),
        "end_step": row.end_step,
    }


def _stream_facts(trace: Dia2Trace, call: int, parts: Labels) -> Facts:
    row = trace.machine_at(call)
    return {
        "call": call,
        "step": row.step,
        "action": action_facts(trace, call, parts.taken),
        "main": token_facts(trace, row.main, parts.main),
        "second": token_facts(trace, row.second, parts.second),
    }


def draw_facts(draw: Draw, names: Mapping[int, str]) -> Facts:
    """One draw; `names` has those of its tokens that are no code."""
    ids = [candidate.token for candidate in draw.candidates]
    rank = ids.index(draw.choice) + 1 if draw.choice in ids else None
    if rank == BEST:
        rank = None  # the last place also holds a choice that is no candidate
    return {
        "name": draw.name,
        "choice": draw.choice,
        "probability": finite(draw.probability),
        "rank": rank,
        "candidates": [
            {
                "id": candidate.token,
                "name": names.get(candidate.token),
                "cond": finite(candidate.cond),
                "guided": finite(candidate.guided),
                "kept": candidate.kept,
            }
            for candidate in draw.candidates
        ],
    }


def _no_draws(trace: Dia2Trace, frame: Frame) -> str | None:
    """Why a call has no draws, in words."""
    if frame.draws:
        return None
    if frame.phase == "warmup":
        return "a call of warm-up draws nothing: actions and codes are the prefix's."
    if trace.manifest.level == "tokens":
        return "a trace of level tokens keeps no draws: record with --trace-level topk."
    start = trace.manifest.tokens_only_from
    if start is not None and frame.call >= start:
        return f"from call {start} on this trace keeps tokens only: its byte budget was reached."
    return "this trace keeps no draws: its hook filter left them out."
