"""A trace of Dia2 as a table of calls, see `dia2.inspect.trace.tables`.

Columns of `calls`, one row per call. −1 stands for a token that was redacted.

    call                  int32    counted from 0 over warm-up and main loop
    phase                 string   warmup or main
    step, position, slot  int32    frame index, rotary position, slot of the transformer's key/value cache
    audio_seconds         double   when a word sounds that this call takes, in the audio: (step − 2 − crop) / frame rate
                                   and at least 0, of a prefix's word what its recording says; null before the audio
    text_main, text_second  int32  text tokens as the transformer saw them
    audio_seen            list     [K] int32, codes as the transformer saw them
    codes                 list     [K] int32, codes drawn; null in warm-up
    word, word_index, word_speaker   string, int32, int16: the word that the machine took; null if it took none
    action, forced, main, second, consumed   the machine's step: action as drawn (a text id in warm-up), whether it
                                   was given, text tokens emitted, whether an entry was taken (breaks included)
    padding_budget, forced_padding, entries_left, end_step, pending, lookahead   the machine after the step;
                                   end_step is null while there are words, pending and lookahead are lists of tokens
    before_*              the machine before the step: the same twelve fields; before the first call, before_step and
                                   before_action are null
    kv_transformer, kv_depformer   int32, filled slots after the call
    time_first, time_machine, time_second, time_frame   float, seconds; null in warm-up
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.inspect.trace.tables import arrow, lists_of
from dia2.runtime.sounding import sounds_at

if TYPE_CHECKING:
    import pyarrow as pa

    from dia2.adapter.trace import Dia2Trace
    from dia2.inspect.trace.tables import Calls

_MACHINE = ("step", "action", "forced", "main", "second", "consumed", "padding_budget", "forced_padding")
_MACHINE_AFTER = (*_MACHINE, "entries_left", "end_step", "pending", "lookahead")
_FLAGS = ("forced", "consumed")
_TIMES = ("first", "machine", "second", "frame")


def calls(trace: Dia2Trace) -> Calls:
    """Schema of the table, and the columns of some calls."""
    words = {word.call: word for word in trace.words if word.call is not None} if len(trace) else {}
    return _schema(), lambda here: _columns(trace, words, here.start, here.stop)


def _schema() -> pa.Schema:
    pa = arrow()
    int32, tokens = pa.int32(), pa.list_(pa.int32())
    machine = {
        name: pa.bool_() if name in _FLAGS else tokens if name in ("pending", "lookahead") else int32
        for name in _MACHINE_AFTER
    }
    return pa.schema(
        {
            "call": int32,
            "phase": pa.string(),
            "step": int32,
            "position": int32,
            "slot": int32,
            "audio_seconds": pa.float64(),
            "text_main": int32,
            "text_second": int32,
            "audio_seen": tokens,
            "codes": tokens,
            "word": pa.string(),
            "word_index": int32,
            "word_speaker": pa.int16(),
        }
        | {name: kind for name, kind in machine.items() if name != "step"}
        | {f"before_{name}": kind for name, kind in machine.items()}
        | {"kv_transformer": int32, "kv_depformer": int32}
        | {f"time_{name}": pa.float32() for name in _TIMES}
    )


def _columns(trace: Dia2Trace, words: dict[int, Any], start: int, stop: int) -> dict[str, Any]:
    pa = arrow()
    here = slice(start, stop)
    warmup = trace.column("phase")[here] == 0
    text, emitted, times, kv = (trace.column("text"), trace.column("emitted"), trace.times, trace.kv_lengths)
    ahead = trace.steps[here].astype(np.int64) - trace.crop
    taken = [words.get(call) for call in range(start, stop)]
    sounds = [sounds_at(step, trace.crop, trace.model.frame_rate) for step in trace.steps[here].tolist()]
    sounds = [
        s if word is None or word.seconds is None else word.seconds for s, word in zip(sounds, taken, strict=True)
    ]
    columns: dict[str, Any] = {
        "call": trace.column("call")[here],
        "phase": pa.array(np.where(warmup, "warmup", "main").tolist(), pa.string()),
        "position": trace.column("position")[here],
        "slot": trace.column("slot")[here],
        "audio_seconds": pa.array(np.array(sounds), mask=ahead < 0),
        "text_main": text[here, 0],
        "text_second": text[here, 1],
        "audio_seen": lists_of(trace.column("audio")[here]),
        "codes": lists_of(trace.codes[here], warmup),
        "word": pa.array([word and word.text for word in taken], pa.string()),
        "word_index": pa.array([word and word.index for word in taken], pa.int32()),
        "word_speaker": pa.array([word and word.speaker for word in taken], pa.int16()),
        "kv_transformer": kv[here, 0],
        "kv_depformer": kv[here, 1],
    }
    columns |= {f"time_{name}": pa.array(times[here, i], mask=warmup) for i, name in enumerate(_TIMES)}
    first = trace.machine_at(-1)
    for name in _MACHINE_AFTER:
        if name in ("pending", "lookahead"):
            columns[name] = _tokens(trace, name, start, stop, 0)
            columns[f"before_{name}"] = _tokens(trace, name, start, stop, -1)
            continue
        after = emitted[:, ("main", "second").index(name)] if name in ("main", "second") else trace.column(name)
        initial = getattr(first, name)
        before = np.concatenate(([-1 if initial is None else int(initial)], after[:-1])).astype(after.dtype)
        for key, column in ((name, after[here]), (f"before_{name}", before[here])):
            unknown = column < 0 if name == "end_step" else np.zeros(len(column), dtype=bool)
            if start == 0 and key in ("before_step", "before_action"):
                unknown[0] = True
            columns[key] = pa.array(column.astype(bool) if name in _FLAGS else column, mask=unknown)
    return columns


def _tokens(trace: Dia2Trace, name: str, start: int, stop: int, shift: int) -> Any:
    """Lists of a ragged column after calls start + shift … stop + shift − 1; empty before the first."""
    pa = arrow()
    ends = np.concatenate(([0, 0], trace.column(f"{name}_end")))  # ends[i + 1] is where call i's part begins
    offsets = ends[start + shift + 1 : stop + shift + 2]
    values = trace.column(name)[int(offsets[0]) : int(offsets[-1])]
    return pa.ListArray.from_arrays(pa.array((offsets - offsets[0]).astype(np.int32)), pa.array(values))
