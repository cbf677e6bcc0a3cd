"""`dia2 trace frames` of Dia: one line per call, which is one row read."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from rich.console import Console
from rich.text import Text

from dia.adapter.console.scripts import whose
from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.trace import DiaTrace
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.views.console.frames import milliseconds, span_of_calls
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, finite, number, plain


def choose_calls(
    trace: DiaTrace, first: int | None = None, last: int | None = None, word: str | None = None
) -> tuple[int, int]:
    """The calls to show, first and last one, see `dia2.inspect.views.console.choose_calls`.

    Raises:
        UsageError: no such calls; or a word, which no call of Dia takes.
        TraceError: the trace has no calls at all.
    """
    if word is not None:
        raise UsageError("Dia takes no words one by one, so --word finds none: choose calls by --from and --to.")
    return span_of_calls(trace, first, last)


def frames_facts(trace: DiaTrace, first: int, last: int, *, script: int = 0, times: bool = True) -> Facts:
    """Calls `first` … `last`, both included, see `choose_calls`."""
    signs = origins(trace, script)
    return {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.run.batch,
        "calls_in_trace": len(trace),
        "calls": [_call_facts(trace, call, script, signs, times) for call in range(first, last + 1)],
    }


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


def print_frames(
    trace: DiaTrace, console: Console, first: int, last: int, *, script: int = 0, times: bool = True
) -> None:
    """Print calls `first` … `last`, both included; as many channels as the width has room for."""
    facts, page = frames_facts(trace, first, last, script=script, times=times), Page(console)
    if told := whose(trace, script):
        page.line((told, HEAD))
    model = trace.model
    code = max(3, len(str(model.vocabulary - 1)))
    digits = max(4, len(str(last + 1)))
    drew = max(5, code)
    given = max(8, *(len(_not_drawn(call["cells"])) for call in facts["calls"]))
    fixed = digits + 1 + 7 + 1 + drew + 1 + 5 + 1 + 3 + 1 + digits + 1 + given + (6 if times else 0)
    shown = max(1, min(model.channels, (page.width - fixed) // (code + 1)))
    columns = [
        Column(digits, "right"),
        Column(7),
        Column(drew, "right"),
        Column(5, "right"),
        Column(3, "right"),
        Column(given),
        *(Column(code, "right") for _ in range(shown)),
        Column(digits, "right"),
        *([Column(5, "right")] if times else []),
    ]
    heads = ["call", "in", "drew0", "p", "end", "given", *(f"ch{c}" for c in range(shown)), "kv"]
    page.row([plain(name, HEAD) for name in heads + (["ms"] if times else [])], columns, gap=1)
    names = special_names(trace)
    for call in facts["calls"]:
        page.row(_cells(call, names, shown, times), columns, gap=1)
    _notes(facts, trace, shown, page)


def special_names(trace: DiaTrace) -> dict[int, str]:
    """Names of the tokens that are no code."""
    return {trace.model.eos: "eos", trace.model.pad: "pad", trace.model.bos: "bos"}


def _cells(call: Facts, names: dict[int, str], shown: int, times: bool) -> list[Text]:
    prefill = call["phase"] == "prefill"
    written = [names.get(code, str(code)) for code in call["written"] or []]
    ends = call["drawn"] is not None and names.get(call["drawn"]) == "eos"
    cells = [
        plain(call["call"], LABEL),
        plain(call["phase"], DIM if prefill else ""),
        plain("" if prefill else names.get(call["drawn"], call["drawn"]), MARK if ends else ""),
        plain("" if call["probability"] is None else number(call["probability"], 3)),
        plain("" if call["countdown"] is None else call["countdown"], MARK),
        plain(_not_drawn(call["cells"]), DIM),
        *(
            plain(written[c] if written else "", DIM if written and call["cells"][c] != DRAWN else "")
            for c in range(shown)
        ),
        plain(call["kv"]["self"]),
    ]
    if times:
        cells.append(plain("" if call["seconds"] is None else milliseconds(call["seconds"])))
    return cells


def _not_drawn(cells: str | None) -> str:
    """What a row was given, by the signs of the grid: `B3–8 p1–2`."""
    found: dict[str, list[str]] = {}
    channel = 0
    for sign, group in groupby(cells or ""):
        count = len(list(group))
        if sign not in (DRAWN, AFTER):
            span = str(channel) if count == 1 else f"{channel}–{channel + count - 1}"
            found.setdefault(sign, []).append(span)
        channel += count
    return " ".join(f"{sign}{','.join(spans)}" for sign, spans in found.items())


def _notes(facts: Facts, trace: DiaTrace, shown: int, page: Page) -> None:
    calls, model = facts["calls"], trace.model
    page.line()
    told = {BOS: "BOS", PROMPT: "prompt", EOS: "EOS, drawn or forced by the countdown", PAD: "PAD after it"}
    used = {sign for call in calls for sign in call["cells"] or ""}
    text = (
        "A call reads the row of its number and writes the next, ch0 on. drew0: the token drawn in channel 0, p its "
        "probability; end: steps since the script's end began; kv: rows in the self-attention cache."
    )
    page.paragraph(plain(text, DIM))
    if meanings := ", ".join(f"{sign} {meaning}" for sign, meaning in told.items() if sign in used):
        page.paragraph(plain(f"given: channels whose cell was not drawn: {meanings}.", DIM))
    if any(call["phase"] == "prefill" for call in calls):
        page.paragraph(plain("prefill: rows that are given to all scripts, in one pass; nothing is drawn.", DIM))
    positions = calls[0]["kv"]["text"]
    page.paragraph(
        plain(f"The cross-attention cache holds {counted(positions, 'position')} of text in every call.", DIM)
    )
    first, last = calls[0]["call"], calls[-1]["call"]
    more = f"; --from {last + 1} shows more" if last + 1 < len(trace) else ""
    hidden = (
        f"; {shown} of {counted(model.channels, 'channel')} fit{'s' * (shown == 1)}" if shown < model.channels else ""
    )
    page.paragraph(plain(f"calls {first} … {last} of 0 … {len(trace) - 1}{more}{hidden}", DIM))
