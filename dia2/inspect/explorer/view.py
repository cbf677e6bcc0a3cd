"""What the explorer shows of a trace: a header of texts and numbers, and columns of arrays.

The header tells the front end which rows, lanes, grid and caches there are, so that it knows no model by name. All
texts come from a trace, which can come from anybody: they are cut short and rid of control characters here, and the
front end only ever sets them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from dia2.console import printable
from dia2.edits import ChangeSampling
from dia2.errors import TraceError
from dia2.inspect.explorer.calls import LOGIT_STEP, Calls, Columns
from dia2.inspect.explorer.sound import samples_of
from dia2.inspect.manifest import ModelFacts
from dia2.inspect.trace import Trace
from dia2.runtime.state_machine import Entry

CANDIDATES = 8  # of each draw that are shown
PEAK_RATE = 100  # minimum and maximum of the waveform, so many pairs a second
_LONGEST = 200  # characters of a text

Header = dict[str, Any]


@dataclass(frozen=True)
class View:
    """A trace as the front end gets it."""

    header: Header  # what JSON can hold
    columns: Columns = field(default_factory=dict)  # [calls, …], but for `grid`, `peaks`, `pending`, `lookahead`


def view_of(trace: Trace, *, candidates: int = CANDIDATES) -> View:
    """All that the explorer shows of `trace`, except sound.

    Args:
        trace: a whole or partial one; redacted parts are empty.
        candidates: of each draw, at most 16.

    Raises:
        TraceError: the run ended before its first call, or the trace is damaged.
    """
    if not len(trace):
        raise TraceError(f"{trace.path} holds no calls to explore ({trace.state}).")
    draws = [] if "voice" in trace.manifest.redacted else trace.manifest.draws
    calls = Calls(trace.model, trace.run.entries, trace.run.config.initial_padding, draws, candidates)
    parts = [  # without logits, of which a level `full` has half a megabyte a call
        calls.add(shard.read([name for name in shard.columns if not name.startswith("logits.")]))
        for shard in trace._shards
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} | grid_columns(trace)
    header = header_of(trace) | {"reasons": calls.reasons, "draws": draws}
    samples = samples_of(trace)
    if samples is not None:
        columns["peaks"] = peaks(samples[0], samples[1])
        header["seconds"] = len(samples[0]) / samples[1]
    return View(header, columns)


def text(value: str) -> str:
    """A text of the trace, safe to show and not too long."""
    return printable(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…")


def header_of(trace: Trace) -> Header:
    """What is said of a trace besides its calls; of one that has none yet too."""
    run, model = trace.run, trace.model
    crop = trace.manifest.result.crop or 0
    return {
        "name": text(trace.path.name),
        "state": text(trace.state),
        "complete": trace.complete,
        "facts": _facts(trace),
        "calls": len(trace),
        "warmup": run.prefix_frames,
        "rate": model.frame_rate,
        "crop": crop,
        "seconds": None,
        "peak_rate": PEAK_RATE,
        "logit_step": LOGIT_STEP,
        "sampling": _sampling(trace),
        "lanes": [
            {"name": "action", "kind": "action"},
            {"name": "main", "kind": "text"},
            {"name": "second", "kind": "text"},
        ],
        "tokens": {"pad": model.tokens.pad, "new_word": model.tokens.new_word},
        "grid": {
            "codebooks": model.codebooks,
            "delays": model.delays,
            "codes": model.codes,
            "pad": model.tokens.audio_pad,
            "prefix": run.prefix_frames,
        },
        "caches": [
            {"name": "transformer", "column": "kv_transformer", "size": model.max_context_steps},
            {"name": "depformer", "column": "kv_depformer", "size": model.codebooks - 1},
        ],
        "words": [word_row(word.text, word.speaker, word.prefix, word.call) for word in trace.words],
        "entries": entry_rows(run.entries),
        "rows": _rows(trace),
        "findings": _findings(trace),
        "edits": [{"call": edit.call, "text": text(str(edit))} for edit in run.edits],
    }


def word_row(said: str, speaker: int, prefix: bool, call: int | None) -> Header:
    """A word as the front end gets it, with the call that took it."""
    return {"text": text(said), "speaker": speaker, "prefix": prefix, "call": call}


def entry_rows(entries: Sequence[Entry]) -> list[Header]:
    """Words and breaks as the front end gets them."""
    return [
        {"text": text(entry.text), "speaker": entry.speaker, "padding": entry.padding, "tokens": len(entry.tokens)}
        for entry in entries
    ]


def shown_codes(codes: np.ndarray, model: ModelFacts) -> np.ndarray:
    """Codes of grid cells; −1 where nothing was written, −2 where a pad stands."""
    ids = model.tokens
    shown = np.where(codes == ids.ungenerated, -1, np.where(codes == ids.audio_pad, -2, codes))
    return shown.astype(np.int16 if model.audio_vocabulary < 1 << 15 else np.int32)


def _facts(trace: Trace) -> list[str]:
    run = trace.run
    cfg = "no guidance" if run.config.cfg_scale == 1.0 else f"cfg {run.config.cfg_scale:g}"
    return [f"seed {run.seed}", cfg, f"{len(trace)} calls", text(run.model.device)]


def _sampling(trace: Trace) -> list[Header]:
    """Settings from call 0 on, and from each call where an edit changes them."""
    calls = sorted({0, *(edit.call for edit in trace.run.edits if isinstance(edit, ChangeSampling))})
    found = []
    for call in calls:
        config = trace.config_at(call)
        found.append(
            {
                "call": call,
                "cfg_scale": config.cfg_scale,
                "cfg_filter_k": config.cfg_filter_k,
                "text": asdict(config.text),
                "audio": asdict(config.audio),
            }
        )
    return found


def _rows(trace: Trace) -> list[Header]:
    calls = {"warmup": 0, "loop": trace.run.prefix_frames}
    return [
        {
            "number": filled.row.number,
            "title": filled.row.title,
            "where": filled.row.where,
            "status": filled.status,
            "cells": {
                name: text(getattr(filled, name))
                for name in ("trigger", "before", "mutations", "outputs")
                if getattr(filled, name) not in ("", "none")
            },
            "seconds": filled.seconds,
            "note": text(filled.note),
            "call": calls.get(filled.row.phase) if filled.status == "done" else None,
        }
        for filled in trace.rows()
    ]


def _findings(trace: Trace) -> list[Header]:
    if "voice" in trace.manifest.redacted:
        return []
    return [
        {"kind": found.kind, "message": text(found.message), "advice": text(found.advice), "call": found.call}
        for found in trace.diagnose().findings
    ]


def peaks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Least and largest of samples [N] in every 1 / PEAK_RATE second, [n, 2] int8 in −127 … 127."""
    width = max(1, round(rate / PEAK_RATE))
    count = -(-len(samples) // width)
    padded = np.zeros(count * width, np.float32)
    padded[: len(samples)] = np.clip(np.nan_to_num(samples), -1, 1)
    blocks = padded.reshape(count, width)
    return np.round(np.stack((blocks.min(1), blocks.max(1)), axis=1) * 127).astype(np.int8)


def grid_columns(trace: Trace) -> Columns:
    """`grid` [columns, K] as the loop left it."""
    if "voice" in trace.manifest.redacted:
        return {}
    return {"grid": shown_codes(trace.raw_grid, trace.model).T}
