"""What the explorer shows of a run of Dia: one script of it, in the same form as a run of Dia2.

A call stands for the row that it reads. Its second in the sound is (row + 1 − prefill_steps) / frame_rate: when the
frame begins whose channel 0 it writes; the other channels of that frame come later, by their delays. Words have no
time, for the encoder reads them all before the first row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dia.adapter.origins import GIVEN, ORIGINS, cell_origins
from dia.adapter.script import script_header
from dia.adapter.view_draws import draw_headers, drawn, special_names
from dia.adapter.view_tour import TOUR
from dia2.common.wording import counted
from dia2.inspect.schema.view import PEAK_RATE, Columns, Header, View, guided, row_header, text
from dia2.inspect.schema.view_tracks import CACHE, LENSES, LOUDNESS, PULL, SOUND, SURPRISE, grid_track, track
from dia2.inspect.trace.stretches import stretches

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

_SPAN = 120  # calls that are seen at first, about 1.4 s
_PREFILL, _PROMPT, _STEP, _COUNTDOWN, _ENDED = range(5)  # what a call is to a script
_PHASES = ("prefill", "prompt", "step", "countdown", "ended")
_COLOURS = ("s2", "s2", "s1", "word", "line")
_VERDICTS = (
    "Row {call} is given, and read in one pass with the others that are; nothing is drawn.",
    "Row {call} is read and row {writes} drawn, but this script's prompt goes on: its codes stand.",
    "Row {call} is read, row {writes} is drawn.",
    "The script ends: where a channel's delay is reached eos stands in row {writes}, after that PAD.",
    "The script has ended. Other scripts of the run go on, so row {writes} is drawn, and not used.",
)
_LIT = {7: (_PREFILL,), 8: (_PROMPT, _STEP, _ENDED), 10: (_COUNTDOWN,)}  # rows of the pipeline


def view_of(trace: DiaTrace, script: int, candidates: int | None) -> View:
    """See `dia2.inspect.views.explorer.view.view_of`."""
    grid, origins = trace.grid(script), cell_origins(trace, script)
    phases = _phases(trace, script)
    columns: Columns = {
        "phase": phases,
        "countdown": trace.countdown[:, script].astype(np.int32),
        "kv_self": trace.kv_lengths[:, 0].astype(np.int32),
        "kv_cross": trace.kv_lengths[:, 1].astype(np.int32),
        "drawn": trace.drawn[:, script].astype(np.int32),
        "grid": grid.astype(np.int16 if trace.model.vocabulary < 1 << 15 else np.int32),
        "grid_origin": origins,
    }
    columns |= drawn(trace, script, candidates)
    return View(_header(trace, script, phases, origins), columns)


def _phases(trace: DiaTrace, script: int) -> np.ndarray:
    """[n] uint8: what each call is to the script."""
    model, countdown = trace.model, trace.countdown[:, script]
    calls = np.arange(len(trace))
    found = np.full(len(trace), _STEP, np.uint8)
    found[calls + 1 < trace.run.prefill_steps[script]] = _PROMPT
    found[(countdown > 0) & (countdown <= model.max_delay)] = _COUNTDOWN
    found[countdown > model.max_delay] = _ENDED
    found[trace.phase == 0] = _PREFILL
    return found


def _header(trace: DiaTrace, script: int, phases: np.ndarray, origins: np.ndarray) -> Header:
    model, prefill = trace.model, trace.run.prefill_steps[script]
    latest = max(1, model.max_delay)
    return {
        "name": text(trace.path.name),
        "state": text(trace.state),
        "complete": trace.complete,
        "facts": _facts(trace, script),
        "calls": len(trace),
        "span": _SPAN,
        "given": {"calls": trace.prefill_calls, "why": "A row of the prefill is given: nothing is drawn."},
        "clock": None
        if model.frame_rate is None
        else {
            "rate": model.frame_rate,
            "zero": prefill - 1,
            "twice": None,
            "before": "prompt",
            "frame": prefill,
            "told": "a row stands where channel 0 of its frame begins",
        },
        "peak_rate": PEAK_RATE,
        "sampling": [_sampling(trace)],
        "draws": draw_headers(trace),
        "titles": {
            "rows": "The thirteen rows",
            "script": "What the encoder read",
            "grid": "The delayed grid",
            "state": "From row to row",
        },
        "where": "row {call}, {phase}",
        "names": {"phase": list(_PHASES), "countdown": {"-1": "–"}},
        "readouts": [
            {"name": "call", "shows": "{call}"},
            {"name": "writes row", "shows": "{writes}"},
            {"name": "phase", "kind": "phase", "shows": "{phase}"},
            {"name": "countdown", "shows": "{countdown}"},
            {"name": "time", "kind": "time"},
        ],
        "tracks": [
            SOUND,
            track(
                "states",
                "phase",
                "Phase",
                "What each row is to the script.",
                *LENSES,
                colours=_COLOURS,
                keys=[[f"is-{_COLOURS[phase]}", _PHASES[phase]] for phase in np.unique(phases).tolist()],
            ),
            SURPRISE,
            PULL,
            grid_track("Delayed grid"),
            track("count", "countdown", "Countdown", "Rows since eos.", "run", most=latest, colour="over"),
            CACHE,
            LOUDNESS,
        ],
        "tour": TOUR,
        "grid": {
            "codebooks": model.channels,
            "delays": model.delays,
            "codes": model.eos,
            "prefix": prefill,
            "prefix_name": "what was given",
            "edge": np.isin(origins, GIVEN).sum(axis=0).tolist(),  # the first row of each channel that was not given
            "first": prefill,
            "frames": None if trace.result.lengths is None else trace.result.lengths[script],
            "ahead": 1,
            "at": 0,
            "words": {"book": "channel", "short": "ch", "column": "row"},
            "missing": "",
            "specials": special_names(trace),
            "origins": [
                {"name": o.name, "by": o.by, "paint": o.paint, "key": o.key if (origins == i).any() else None}
                for i, o in enumerate(ORIGINS.values())
            ],
        },
        "caches": [
            {"column": "kv_self", "told": "self-attention {kv_self:row}"},
            {"column": "kv_cross", "told": "cross-attention {kv_cross:position} of text, filled once"},
        ],
        "state_pane": {
            "kind": "row",
            "told": "row {call} → {writes}",
            "verdicts": _VERDICTS,
            "pairs": [
                {"name": "position, slot", "shows": "{call}"},
                {
                    "name": "countdown",
                    "shows": f"{{countdown}} / {latest}",
                    "gauge": {"column": "countdown", "most": latest},
                },
            ],
        },
        "script": script_header(trace, script),
        "words": None,
        "rows": _rows(trace, phases),
        "edits": [],
    }


def _facts(trace: DiaTrace, script: int) -> list[str]:
    run, scripts = trace.run, len(trace.run.scripts)
    config = run.config
    facts = [] if scripts == 1 else [f"script {script + 1} of {scripts}"]
    facts += [
        f"seed {run.seed + script}",
        "no guidance" if config.cfg_scale == 0 else f"cfg {config.cfg_scale:g}",
        counted(len(trace), "row"),
        text(run.model.device),
    ]
    return facts


def _sampling(trace: DiaTrace) -> Header:
    config = trace.run.config
    told = guided(config.cfg_scale, config.cfg_filter_top_k)
    if config.cfg_scale == 0:
        told = f"No guidance: the {config.cfg_filter_top_k} best stay."
    if config.temperature > 0:
        told += f" Of these the best with {config.top_p:g} of the probability between them stay; the others are cut."
        told += " eos of channel 0 is drawn only where it is the best."
    else:
        told += " The best one is taken."
    guidance = {"cfg": config.cfg_scale, "keep": config.cfg_filter_top_k, "plus": 1, "off": None}
    audio = {"temperature": config.temperature, "top_p": config.top_p}
    return {"call": 0, "told": told, "guidance": guidance, "audio": audio}


def _rows(trace: DiaTrace, phases: np.ndarray) -> list[Header]:
    return [row_header(filled, stretches(np.isin(phases, _LIT.get(filled.row.number, ())))) for filled in trace.rows()]
