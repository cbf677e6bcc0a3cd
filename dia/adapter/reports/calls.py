"""`dia2 trace frames` of Dia: one line per call, which is one row read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import numpy as np

from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.trace import DiaTrace
from dia2.common.wording import counted, finite, milliseconds, number
from dia2.inspect.schema.report import Block, Cell, Column, Facts, Line, Paragraph, Report, Table
from dia2.inspect.trace.header import span, whose

_KEY = (
    "A call reads the row of its number and writes the next, ch0 on. drew0: the token drawn in channel 0, p its "
    "probability; end: steps since the script's end began; kv: rows in the self-attention cache."
)
_GIVEN = {BOS: "BOS", PROMPT: "prompt", EOS: "EOS, drawn or forced by the countdown", PAD: "PAD after it"}


def report(trace: DiaTrace, first: int, last: int, script: int, times: bool) -> Report:
    """Calls `first` … `last`, both included, of a script."""
    signs = origins(trace, script)
    facts: Facts = {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.run.batch,
        "calls_in_trace": len(trace),
        "calls": [_call_facts(trace, call, script, signs, times) for call in range(first, last + 1)],
    }
    table = _table(facts["calls"], trace, last, times)
    return Report(facts, [*whose(trace, script), table, Line(), *_notes(facts["calls"], trace)])


def where(trace: DiaTrace, call: int) -> str:
    """Which call, and which rows it reads and writes."""
    writes = f"writes row {call + 1}" if trace.phase[call] else "which is given"
    return f"call {call} · {'loop' if trace.phase[call] else 'prefill'} · reads row {call}, {writes}"


def _call_facts(trace: DiaTrace, call: int, script: int, signs: np.ndarray, times: bool) -> Facts:
    loop = bool(trace.phase[call])
    draws = trace.draws(call, script)
    countdown = int(trace.countdown[call, script])
    own, text = trace.kv_lengths[call].tolist()
    return {
        "call": call,
        "phase": "loop" if loop else "prefill",
        "drawn": int(trace.drawn[call, script, 0]) if loop else None,
        "probability": finite(draws[0].probability) if draws and draws[0].name == "channel.0" else None,
        "countdown": countdown if countdown > 0 else None,
        "cells": "".join(signs[call + 1]) if loop else None,
        "written": trace.written[call, script].tolist() if loop else None,
        "kv": {"self": own, "text": text},
        "seconds": finite(float(trace.seconds[call])) if loop and times else None,
    }


def _table(calls: list[Facts], trace: DiaTrace, last: int, times: bool) -> Table:
    """The calls, and as many channels as there is room for."""
    code, digits = max(3, len(str(trace.model.vocabulary - 1))), max(4, len(str(last + 1)))
    names = trace.token_names("channel.0")  # as of every channel

    def drew(call: Facts) -> Cell:
        drawn: int | None = call["drawn"]
        told: str | int = "" if drawn is None else names.get(drawn, drawn)
        return told, "mark" if told == "eos" else ""

    def written(channel: int) -> Callable[[Facts], Cell]:
        def cell(call: Facts) -> Cell:
            if call["written"] is None:
                return ""
            code = call["written"][channel]
            return names.get(code, code), "dim" if call["cells"][channel] != DRAWN else ""

        return cell

    return Table.of(
        calls,
        (Column("call", digits, "right"), lambda call: (call["call"], "label")),
        (Column("in", 7), lambda call: (call["phase"], "dim" if call["phase"] == "prefill" else "")),
        (Column("drew0", max(5, code), "right"), drew),
        (Column("p", 5, "right"), lambda call: "" if call["probability"] is None else number(call["probability"], 3)),
        (Column("end", 3, "right"), lambda call: ("" if call["countdown"] is None else call["countdown"], "mark")),
        (Column("given", max(8, *(len(_given(call)) for call in calls))), lambda call: (_given(call), "dim")),
        *((Column(f"ch{c}", code, "right", optional=True), written(c)) for c in range(trace.model.channels)),
        (Column("kv", digits, "right"), lambda call: call["kv"]["self"]),
        *([(Column("ms", 5, "right"), lambda call: milliseconds(call["seconds"]))] if times else []),
        gap=1,
    )


def _given(call: Facts) -> str:
    """What a row was given, by the signs of the grid: `B3–8 p1–2`."""
    found: dict[str, list[str]] = {}
    channel = 0
    for sign, group in groupby(call["cells"] or ""):
        count = len(list(group))
        if sign not in (DRAWN, AFTER):
            span = str(channel) if count == 1 else f"{channel}–{channel + count - 1}"
            found.setdefault(sign, []).append(span)
        channel += count
    return " ".join(f"{sign}{','.join(spans)}" for sign, spans in found.items())


def _notes(calls: list[Facts], trace: DiaTrace) -> list[Block]:
    told = [_KEY]
    used = {sign for call in calls for sign in call["cells"] or ""}
    if meanings := ", ".join(f"{sign} {meaning}" for sign, meaning in _GIVEN.items() if sign in used):
        told.append(f"given: channels whose cell was not drawn: {meanings}.")
    if any(call["phase"] == "prefill" for call in calls):
        told.append("prefill: rows that are given to all scripts, in one pass; nothing is drawn.")
    positions = counted(calls[0]["kv"]["text"], "position")
    told.append(f"The cross-attention cache holds {positions} of text in every call.")
    notes = [Paragraph((text, "dim")) for text in told]
    return [*notes, span("call", calls[0]["call"], calls[-1]["call"], len(trace), "channel")]
