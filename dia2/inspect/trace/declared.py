"""What the columns that a family declares say of its traces: its reports, where it has none of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from dia2.common.errors import TraceError
from dia2.common.wording import duration
from dia2.inspect.schema.report import (
    Block,
    Cell,
    Column,
    Facts,
    Grid,
    Line,
    Pairs,
    Paragraph,
    Report,
    Sign,
    Table,
    Title,
)
from dia2.inspect.schema.report_draws import NAMED, RANK, draw_cells, draw_facts, named
from dia2.inspect.trace.header import no_draws, row_facts, show_blocks, span, state_facts, whose
from dia2.inspect.trace.trace import Trace
from dia2.inspect.trace.values import Values

_CANDIDATES = 3  # of each draw that are named
_DRAWN = {"drew": 6, "p": 6, "rank": 8, "cond": 7, "guided": 7}  # widths
_SIGNS = {
    "p": Sign("given", "label"),
    "#": Sign("drawn"),
    "·": Sign("no code", "dim", code=False),
}


def show(trace: Trace[Any], times: bool) -> Report:
    """A header, the settings, and the rows that the run went through."""
    given, count = trace.given_calls, len(trace)
    settings = trace.settings(trace.scripts) if trace.begun else {}
    facts: Facts = {
        "path": str(trace.path),
        "family": trace.family,
        **state_facts(trace, times),
        "calls": {"given": given, "drawn": count - given, "all": count},
        "scripts": trace.scripts,
        "settings": {name: str(value) for name, value in settings.items()},
        "rows": [row_facts(row, times) for row in trace.rows()],
    }
    split = f" = {given} given + {count - given} drawn" if count else ""
    pairs: dict[str, str | None] = {"model": trace.adapter.title, "calls": f"{count}{split}"}
    if trace.scripts > 1:
        pairs["scripts"] = str(trace.scripts)
    told: list[Block] = [Title("settings"), Pairs([*facts["settings"].items()])] if settings else []
    return Report(facts, show_blocks(facts, pairs, told))


def _phase(trace: Trace[Any], call: int) -> str:
    return "drawn" if trace.column("phase")[call] else "given"


def calls(trace: Trace[Any], first: int, last: int, script: int, times: bool) -> Report:
    """Calls `first` … `last`, both included: a number of every column that has one, and the codes drawn."""
    values = Values(trace, script)
    drawn, clocks = values.drawn, list(values.times) if times else []
    facts: Facts = {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.scripts,
        "calls_in_trace": len(trace),
        "calls": [
            {
                "call": call,
                "phase": _phase(trace, call),
                "values": values.at(call),
                "seconds": values.seconds(call) if times else {},
                "codes": None if drawn is None else drawn[call].tolist(),
            }
            for call in range(first, last + 1)
        ],
    }
    rows = [
        [
            (call["call"], "label"),
            (call["phase"], "" if call["phase"] == "drawn" else "dim"),
            *call["values"].values(),
            *(duration(seconds) for seconds in call["seconds"].values()),
            *("" if code < 0 else code for code in call["codes"] or []),
        ]
        for call in facts["calls"]
    ]
    known = trace.adapter.layout.columns
    shown = [known[name] for name in (*values.numbers, *clocks)]
    heads = [*(c.told for c in shown), *(f"cb{k}" for k in range(0 if drawn is None else drawn.shape[1]))]
    widths = [max(len(head), *(len(str(row[i])) for row in rows)) for i, head in enumerate(heads, 2)]
    columns = [Column("call", max(4, len(str(last))), "right"), Column("in", 5)]
    columns += [Column(head, width, "right", optional=True) for head, width in zip(heads, widths, strict=True)]
    told = [f"{column.told}: {column.meaning}" for column in shown]
    told += [f"cb: {known[name].meaning}" for name, codes in values.codes.items() if codes is drawn]
    key = [Paragraph((f"{'; '.join(told)}.", "dim"))] if told else []
    last_line = span("call", first, last, len(trace), "column")
    return Report(facts, [*whose(trace, script), Table(columns, rows, gap=1), Line(), *key, last_line])


def call(trace: Trace[Any], call: int, script: int, times: bool) -> Report:
    """One call: each number before and after it, the codes, and what its draws chose among.

    Raises:
        TraceError: there is no such call.
    """
    call = trace.check_call(call)
    values = Values(trace, script)
    draws = [draw_facts(draw, {}) for draw in trace.draws(call, script)]
    facts: Facts = {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.scripts,
        "call": call,
        "phase": _phase(trace, call),
        "before": values.at(call - 1),
        "after": values.at(call),
        "codes": {name: codes[call].tolist() for name, codes in values.codes.items()},
        "no_draws": None if draws else no_draws(trace, call),
        "draws": draws,
        "seconds": values.seconds(call) if times else {},
    }
    blocks: list[Block] = [Paragraph([(f"call {call}", "head"), f" · {facts['phase']}"]), *whose(trace, script)]
    return Report(facts, blocks + _numbers(trace, facts) + _codes(trace, facts) + _draws(facts) + _times(facts))


def _numbers(trace: Trace[Any], facts: Facts) -> list[Block]:
    known, before = trace.adapter.layout.columns, facts["before"]
    table = Table.of(
        [*facts["after"].items()],
        (
            Column("column", max(map(len, ["column", *(known[name].told for name in before)]))),
            lambda item: (known[item[0]].told, "label"),
        ),
        (Column("before", 9, "right"), lambda item: "–" if before[item[0]] is None else before[item[0]]),
        (Column("after", 9, "right"), lambda item: (item[1], "head" if item[1] != before[item[0]] else "dim")),
        (Column(), lambda item: (known[item[0]].meaning, "dim")),
        indent=2,
    )
    return [Title("columns"), table] if before else []


def _codes(trace: Trace[Any], facts: Facts) -> list[Block]:
    lines = zip(*facts["codes"].values(), strict=True)
    rows: list[list[Cell]] = [
        [(f"cb{k}", "label"), *("–" if code < 0 else code for code in codes)] for k, codes in enumerate(lines)
    ]
    heads = [trace.adapter.layout.columns[name].told for name in facts["codes"]]
    columns = [Column("codebook", 8), *(Column(head, max(6, len(head)), "right") for head in heads)]
    return [Title("codes"), Table(columns, rows, indent=2)] if rows else []


def _draws(facts: Facts) -> list[Block]:
    if facts["no_draws"]:
        return [Title("draws"), Paragraph((facts["no_draws"], "mark"), indent=2)]
    table = Table(
        [
            Column("draw", max(len(draw["name"]) for draw in facts["draws"])),
            *(Column(head, width, "right") for head, width in _DRAWN.items()),
            Column("best"),
        ],
        [
            [(draw["name"], "label"), (draw["choice"], "head"), *draw_cells(draw), named(draw, _CANDIDATES)]
            for draw in facts["draws"]
        ],
        gap=1,
        indent=2,
    )
    return [Title("draws"), table, Paragraph((f"{RANK} best: {NAMED}.", "dim"), indent=2)]


def _times(facts: Facts) -> list[Block]:
    known = [(name, duration(seconds)) for name, seconds in facts["seconds"].items() if seconds is not None]
    return [Title("wall times"), Pairs(known)] if known else []


def grid(trace: Trace[Any], script: int) -> Grid:
    """The codes that calls drew, call by call.

    Raises:
        TraceError: there are none.
    """
    codes = Values(trace, script).drawn
    if codes is None:
        raise TraceError(f"{trace.path} has no codes to show in a grid ({trace.state}).")
    given = trace.column("phase") == 0
    cells = np.where(codes < 0, "·", np.where(given[:, None], "p", "#"))
    facts = {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.scripts,
        "codebooks": trace.codebooks,
        "calls": len(trace),
    }
    vocabulary = int(codes.max()) + 1
    return Grid(facts, "call", "cb", _SIGNS, "#", cells.T, codes.T, vocabulary, before=whose(trace, script))


def where(trace: Trace[Any], call: int) -> str:
    """Which call."""
    return f"call {call} · {_phase(trace, call)}"
