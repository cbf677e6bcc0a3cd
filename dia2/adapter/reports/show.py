"""`dia2 trace show`: what a run was, and the thirty rows that it went through."""

from __future__ import annotations

from dataclasses import asdict

from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.schema.report import Facts, Report, picked
from dia2.inspect.trace.header import row_facts, show_blocks, state_facts


def report(trace: Dia2Trace, times: bool) -> Report:
    """Header and rows of any trace, partial ones too; `run` is none where it ended before it began."""
    manifest, run = trace.manifest, trace.manifest.run
    samples = manifest.result.samples
    facts: Facts = {
        "path": str(trace.path),
        **state_facts(trace, times),
        "redacted": manifest.redacted,
        "calls": {"warmup": trace.warmup_calls, "main": len(trace) - trace.warmup_calls, "all": len(trace)},
        "stop_reason": manifest.result.stop_reason,
        "audio_seconds": None if run is None or samples is None else samples / run.model.sample_rate,
        "run": None if run is None else _run_facts(trace),
        "rows": [row_facts(row, times) for row in trace.rows()],
    }
    return Report(facts, show_blocks(facts, _pairs(facts), []))


def _run_facts(trace: Dia2Trace) -> Facts:
    run, words, heard = trace.run, trace.words, trace.heard
    return {
        "seed": run.seed,
        **picked(run.model, "device", "dtype"),
        **picked(asdict(run.config), "cfg_scale", "cfg_filter_k", "text", "audio", "initial_padding"),
        **picked(run, "prefix_words", "prefix_frames"),
        "words": len(words),
        "words_taken": sum(word.call is not None for word in words),
        "words_heard": None if heard is None else len(heard),
        "edits": [str(edit) for edit in run.edits],
        "forked_at": run.forked_at,
    }


def _pairs(facts: Facts) -> dict[str, str | None]:
    run, calls, seconds = facts["run"], facts["calls"], facts["audio_seconds"]
    ended = f"; stopped by {facts['stop_reason']}" if facts["stop_reason"] else ""
    split = f" = {calls['warmup']} of warm-up + {calls['main']} of the main loop" if calls["all"] else ""
    pairs: dict[str, str | None] = dict.fromkeys(("model", "sampling"))
    pairs |= {"calls": f"{calls['all']}{split}{ended}", "prefix": None, "words": None}
    pairs["audio"] = "none" if seconds is None else f"{seconds:.2f} s"
    if run is not None:
        cfg = "no guidance" if run["cfg_scale"] == 1.0 else f"cfg {run['cfg_scale']:g} keeping {run['cfg_filter_k']}"
        kinds = (f"{name} {run[name]['temperature']:g}/{run[name]['top_k']}" for name in ("text", "audio"))
        heard = "" if run["words_heard"] is None else f", {run['words_heard']} heard in the audio"
        pairs |= {
            "model": f"{run['device']}, {run['dtype']}",
            "sampling": f"seed {run['seed']}, {cfg}, {', '.join(kinds)} (temperature/top-k)",
            "words": f"{run['words']}: {run['words_taken']} taken by the machine{heard}",
        }
        if run["prefix_frames"]:
            pairs["prefix"] = f"{counted(run['prefix_words'], 'word')}, {counted(run['prefix_frames'], 'frame')}"
        if run["forked_at"] is not None:
            pairs["fork"] = f"repeats another run up to call {run['forked_at']}"
        pairs["edits"] = "; ".join(run["edits"]) or None
    return pairs | {"redacted": ", ".join(facts["redacted"]) or None}
