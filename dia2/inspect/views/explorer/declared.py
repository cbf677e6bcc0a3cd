"""What the explorer shows of a run whose family has no view of its own: its columns, as they are declared."""

from __future__ import annotations

from typing import Any

import numpy as np

from dia2.common.wording import counted
from dia2.inspect.schema.column import Column
from dia2.inspect.schema.draw import BEST, book_of
from dia2.inspect.schema.view import PEAK_RATE, Columns, Header, View, row_header, text
from dia2.inspect.schema.view_draws import drawn_columns, room_for, stored_candidates
from dia2.inspect.schema.view_tracks import CACHE, LENSES, LOUDNESS, PULL, SOUND, SURPRISE, grid_track, track
from dia2.inspect.trace.trace import Trace
from dia2.inspect.trace.values import Values

_SPAN = 64  # calls that are seen at first
_COLOURS = ("over", "word", "frame", "s2")  # of the tracks of numbers, in turn
_LONGEST = 24  # characters of a setting among the facts
_MOST_FACTS = 4
_NO_CODE = {"-1": "–"}


def view_of(trace: Trace[Any], script: int, candidates: int | None) -> View:
    """See `dia2.inspect.views.explorer.view.view_of`."""
    values = Values(trace, script)
    phase = trace.column("phase").astype(np.uint8)
    columns: Columns = {"phase": phase} | {name: array.astype(np.int32) for name, array in values.numbers.items()}
    if values.drawn is not None:  # a call writes the column after the one that stands when it begins
        first = np.full((1, trace.codebooks), -1)
        columns |= {"drawn": values.drawn.astype(np.int32), "grid": np.concatenate((first, values.drawn)).astype("i4")}
        columns["grid_origin"] = (columns["grid"] >= 0).astype(np.uint8)
    columns |= _drawn(trace, script, candidates)
    return View(_header(trace, script, values), columns)


def _header(trace: Trace[Any], script: int, values: Values) -> Header:
    known, given, settings = trace.adapter.layout.columns, trace.given_calls, trace.settings(trace.scripts)
    caches = [name for name in values.numbers if known[name].view == "cache"]
    numbers = [name for name in values.numbers if name not in caches]
    rate = getattr(trace.manifest.run, "frame_rate", None)
    return {
        "name": text(trace.path.name),
        "state": text(trace.state),
        "complete": trace.complete,
        "facts": _facts(trace, script, settings),
        "calls": len(trace),
        "span": _SPAN,
        "given": {"calls": given, "why": text(trace.nothing_drawn.capitalize())},
        "clock": None
        if rate is None
        else {"rate": rate, "zero": given, "twice": None, "before": "given", "frame": given + 1},
        "peak_rate": PEAK_RATE,
        "sampling": [
            {
                "call": 0,
                "told": "Those struck out could not be drawn; guided decides how likely the others are.",
                "audio": {"temperature": None, "top_k": 0},
            }
        ],
        "draws": [_draw(trace, name, settings) for name in trace.manifest.draws],
        "titles": {
            "rows": "What the run went through",
            "grid": "The codes",
            "state": "This call",
        },
        "where": "call {call}, {phase}",
        "names": {"phase": ["given", "drawn"], **dict.fromkeys(numbers, _NO_CODE)},
        "readouts": [
            {"name": "call", "shows": "{call}"},
            {"name": "phase", "kind": "phase", "shows": "{phase}"},
            {"name": "time", "kind": "time"},
        ],
        "tracks": [
            SOUND,
            track(
                "states",
                "phase",
                "Phase",
                "Calls that are given, and those that draw.",
                *LENSES,
                colours=["s2", "s1"],
                keys=[["is-s2", "given"]] * bool(given) + [["is-s1", "drawn"]],
            ),
            *(_track(known[name], values.numbers[name], i) for i, name in enumerate(numbers)),
            SURPRISE,
            PULL,
            grid_track("Codes"),
            CACHE,
            LOUDNESS,
        ],
        "grid": _grid(trace, values.drawn),
        "caches": [
            {"column": name, "told": f"{text(known[name].told)} {{{name}:{known[name].unit or 'slot'}}}"}
            for name in caches
        ],
        "state_pane": {
            "kind": "row",
            "told": "call {call}",
            "verdicts": [text(trace.nothing_drawn.capitalize()), "Codes are drawn."],
            "pairs": [{"name": text(known[name].told), "shows": f"{{{name}}}"} for name in values.numbers],
        },
        "script": None,
        "words": None,
        "rows": _rows(trace),
        "edits": [],
    }


def _facts(trace: Trace[Any], script: int, settings: dict[str, object]) -> list[str]:
    told = [f"script {script + 1} of {trace.scripts}"] if trace.scripts > 1 else []
    short = [f"{name} {value}" for name, value in settings.items() if len(str(value)) <= _LONGEST]
    return [*told, *(text(fact) for fact in short[:_MOST_FACTS]), counted(len(trace), "call")]


def _track(column: Column, values: np.ndarray, number: int) -> Header:
    colour = _COLOURS[number % len(_COLOURS)]
    label = text(column.told)
    return track("count", column.name, label, label, "run", most=max(1, int(values.max())), colour=colour)


def _grid(trace: Trace[Any], drawn: np.ndarray | None) -> Header:
    given, name = trace.given_calls, trace.adapter.codebook
    delays = getattr(trace.manifest.run, "delays", None) or [0] * trace.codebooks
    return {
        "codebooks": trace.codebooks,
        "delays": delays,
        "codes": 1 if drawn is None else int(drawn.max()) + 1,  # shades are told from each other up to the largest
        "prefix": given + 1 if given else 0,
        "prefix_name": "what was given",
        "edge": [given + 1] * trace.codebooks,
        "first": given + 1,
        "frames": max(0, len(trace) - given - max(delays)),
        "ahead": 1,
        "at": 0,
        "words": {"book": name, "short": name[:2] if name != "codebook" else "cb", "column": "column"},
        "missing": "",
        "specials": _NO_CODE,
        "origins": [
            {"name": "none", "by": "no code", "paint": "empty", "key": None},
            {"name": "drawn", "by": "drawn by call {call}", "paint": "codes", "key": "drawn"},
        ],
    }


def _rows(trace: Trace[Any]) -> list[Header]:
    given, count = trace.given_calls, len(trace)
    lit: dict[str, list[tuple[int, int | None]]] = {
        "": [],
        "given": [(0, given)] if given else [],
        "drawn": [(given, None)] if given < count else [],
        "all": [(0, None)],
    }
    return [row_header(filled, lit[filled.row.calls]) for filled in trace.rows()]


def _draw(trace: Trace[Any], name: str, settings: dict[str, object]) -> Header:
    kind = next(kind for kind in trace.adapter.draws if name in kind.names(trace.codebooks))
    heat = settings.get(kind.temperature)
    known = isinstance(heat, int | float) and not isinstance(heat, bool)
    names = {str(token): text(label) for token, label in trace.token_names(name).items()}
    sampling = {"temperature": heat if known else None, "top_k": 0, "by": "guided"}
    return {"title": text(name), "book": book_of(name), "sampling": sampling, "names": names}


def _drawn(trace: Trace[Any], script: int, shown: int | None) -> Columns:
    """Candidates of the script's draws, and which of them could have been drawn: those that were kept."""
    if not trace.manifest.draws:
        return {}
    shown = shown or room_for((len(trace) - trace.given_calls) * len(trace.manifest.draws), BEST)
    parts = []
    for columns, taken in trace.draw_parts(script):
        widest = max(int(ids.max(initial=0)) for ids in (taken, columns.get("draw.ids", taken)))
        found = stored_candidates(columns, taken, shown)
        parts.append(drawn_columns(found, columns.get("draw.probability"), taken, shown, widest + 1))
    made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return made | {"draw_alive": made["draw_kept"]}
