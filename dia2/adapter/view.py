"""What the explorer shows of a run of Dia2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dia2.adapter.manifest import ModelFacts
from dia2.adapter.trace import Dia2Trace
from dia2.adapter.view_calls import Calls
from dia2.adapter.view_draws import Draws, sampling_header
from dia2.adapter.view_fit import drift_track, fit_of
from dia2.adapter.view_pipeline import ACTIONS, OUTCOMES
from dia2.adapter.view_tour import TOUR
from dia2.common.wording import counted
from dia2.inspect.schema.view import PEAK_RATE, Columns, Header, View, row_header, text
from dia2.inspect.schema.view_tracks import CACHE, LOUDNESS, PULL, SOUND, SURPRISE, WORDS, grid_track, track
from dia2.runtime.edits import ChangeSampling, Edit
from dia2.runtime.sounding import LAG
from dia2.runtime.state_machine import Entry

_TRACKS = [
    SOUND,
    WORDS | {"keys": [["is-s1", "[S1]"], ["is-s2", "[S2]"]]},
    track(
        "text",
        "text",
        "Text",
        "action: what was drawn, or given by a prefix (pale); outlined where the machine overruled it. main: the word "
        "that is being said. second: the one that comes next.",
        "run",
        "voice",
        lanes=[
            {"kind": "action", "name": "action"},
            {"kind": "tokens", "name": "main"},
            {"kind": "tokens", "name": "second"},
        ],
    ),
    track(
        "taken",
        "taken",
        "Words taken",
        "Above: where the recordings of a prefix say each word. Below: the call at which the machine took it.",
        "voice",
    ),
    SURPRISE,
    PULL,
    grid_track("Delayed grid"),
    track(
        "budget",
        "budget",
        "Budget, queue",
        "Line: padding budget; at 0 a word is taken. Bars: forced padding, in which none may be. Above: words left.",
        "run",
        "voice",
        line="padding_budget",
        bars="forced_padding",
        number="entries_left",
    ),
    CACHE,
    LOUDNESS,
]


def view_of(trace: Dia2Trace, script: int, candidates: int | None) -> View:
    """See `dia2.inspect.views.explorer.view.view_of`."""
    draws = Draws(trace, candidates)
    calls = Calls(trace.model, trace.run.entries, trace.run.config.initial_padding)
    parts = []
    for shard in trace._shards:
        columns = shard.read(list(shard.columns))
        parts.append(calls.add(columns) | draws.columns(columns))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    header = header_of(trace) | {"reasons": calls.reasons, "draws": draws.header} | _fit(trace)
    return View(header, joined | draws.uniforms() | grid_columns(trace))


def _fit(trace: Dia2Trace) -> Header:
    """What tells whether the words of a prefix stand where they sound, and its track, below that of the words."""
    fit = fit_of(trace)
    if fit is None:
        return {}
    at = 1 + [track["name"] for track in _TRACKS].index("taken")
    return {"fit": fit, "tracks": [*_TRACKS[:at], drift_track(fit), *_TRACKS[at:]]}


def header_of(trace: Dia2Trace) -> Header:
    """What is said of a trace besides its calls; of one that has none yet too."""
    run, model = trace.run, trace.model
    prefix = run.prefix_frames
    return {
        "name": text(trace.path.name),
        "state": text(trace.state),
        "complete": trace.complete,
        "facts": _facts(trace),
        "calls": len(trace),
        "span": 80,
        "given": _given(prefix),
        "clock": clock(trace, trace.crop),
        "peak_rate": PEAK_RATE,
        "sampling": _sampling(trace),
        "titles": {
            "rows": "The thirty rows",
            "grid": "audio_buf: the delayed grid",
            "state": "State machine",
        },
        "where": "call {call}, step {step}",
        "names": {"drawn": list(ACTIONS), "outcome": list(OUTCOMES)},
        "readouts": [
            {"name": "call", "shows": "{call}"},
            {"name": "step", "shows": "{step}"},
            {"name": "slot", "shows": "{slot}"},
            {"name": "time", "kind": "time"},
            {"name": "word", "kind": "word"},
        ],
        "tracks": _TRACKS,
        "tour": TOUR,
        "tokens": {"pad": model.tokens.pad, "new_word": model.tokens.new_word},
        "grid": {
            "codebooks": model.codebooks,
            "delays": model.delays,
            "codes": model.codes,
            "prefix": prefix,
            "prefix_name": "prefix",
            "edge": [prefix] * model.codebooks,  # from there on the main loop writes all of a column
            "first": 0,
            # After a prefix, calls and the columns that they write count alike; else columns are one ahead.
            "ahead": 0 if prefix else 1,
            "at": 0 if prefix else 1,
            "words": {"book": "codebook", "short": "cb", "column": "column"},
            "missing": "the voice was redacted",
        },
        "caches": [
            {"column": "kv_transformer", "told": "transformer {kv_transformer:slot}, position {position}"},
            {"column": None, "told": f"depformer {{kv_depformer}} of {model.codebooks - 1}, emptied every call"},
        ],
        "state_pane": {"kind": "machine", "told": "after step {step}"},
        "script": None,
        "words": [
            word_row(word.text, word.speaker, word.prefix, word.call, sounds_in(trace, word.index, word.call))
            for word in trace.words
        ],
        "entries": entry_rows(run.entries),
        "rows": _rows(trace),
        "edits": [{"call": edit.call, "text": text(_edited(edit))} for edit in run.edits],
    }


def _given(prefix: int) -> Header:
    """The calls of the warm-up, and what is said where they have nothing to show."""
    given = {"calls": prefix, "why": "The prefix gives what a call of the warm-up sees: nothing is drawn."}
    return given | {"sound": "the recording's sound was not kept"} if prefix else given


def word_row(said: str, speaker: int, prefix: bool, call: int | None, at: float | None) -> Header:
    """A word as the front end gets it, with the call that took it, and the call (and part of it) in which it sounds."""
    return {"text": text(said), "speaker": speaker, "prefix": prefix, "call": call, "at": at}


def clock(trace: Dia2Trace, crop: int) -> Header:
    """Which call stands at which second of the sound, from which so many frames are cut.

    A call stands where a word sounds that the machine takes in it. The first call of the main loop reads the step again
    that ended the warm-up.
    """
    prefix = trace.run.prefix_frames
    before = "prefix" if prefix else "–"
    return {
        "rate": trace.model.frame_rate,
        "zero": crop + LAG,
        "twice": prefix or None,
        "before": before,
        "frame": crop,
    }


def sounds_in(trace: Dia2Trace, index: int, call: int | None) -> float | None:
    """Where by the clock a word sounds that `call` took: there; in the warm-up, where the recording says it."""
    frames, starts = trace.run.prefix_frames, trace.prefix_starts
    if call is None or call >= frames or index >= len(starts):
        return call
    return min(frames - 1, round(starts[index] * trace.model.frame_rate + LAG, 3))


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


def _facts(trace: Dia2Trace) -> list[str]:
    run = trace.run
    cfg = "no guidance" if run.config.cfg_scale == 1.0 else f"cfg {run.config.cfg_scale:g}"
    return [f"seed {run.seed}", cfg, counted(len(trace), "call"), text(run.model.device)]


def _sampling(trace: Dia2Trace) -> list[Header]:
    """Settings from call 0 on, and from each call where an edit changes them."""
    calls = sorted({0, *(edit.call for edit in trace.run.edits if isinstance(edit, ChangeSampling))})
    return [sampling_header(call, trace.config_at(call)) for call in calls]


def _edited(edit: Edit) -> str:
    """What an edit says, without its call, which stands beside it."""
    return f"{edit.what}, from there on" if isinstance(edit, ChangeSampling) else edit.what


def _rows(trace: Dia2Trace) -> list[Header]:
    prefix, calls = trace.run.prefix_frames, len(trace)
    lit: dict[str, list[tuple[int, int | None]]] = {
        "warmup": [(0, min(prefix, calls))],
        "loop": [(prefix, None)] if prefix < calls else [],
    }
    return [row_header(filled, lit.get(filled.row.phase, [])) for filled in trace.rows()]


def grid_columns(trace: Dia2Trace) -> Columns:
    """`grid` [columns, K] as the loop left it."""
    if "voice" in trace.manifest.redacted:
        return {}
    return {"grid": shown_codes(trace.raw_grid, trace.model).T}
