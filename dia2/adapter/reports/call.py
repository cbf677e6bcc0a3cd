"""`dia2 trace frames --call N`: one call in full."""

from __future__ import annotations

from dataclasses import asdict

from dia2.adapter.frame import Frame
from dia2.adapter.machine import Labels, labels
from dia2.adapter.reports.calls import COUNTS, decoded_twice, stream_facts
from dia2.adapter.reports.words import action_text, part_facts, queue_text, token_cell, token_facts, token_text
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import duration, finite, number
from dia2.inspect.schema.report import (
    Block,
    Cell,
    Column,
    Facts,
    Flex,
    Line,
    Note,
    Pairs,
    Paragraph,
    Report,
    Style,
    Table,
    Title,
    picked,
)
from dia2.inspect.schema.report_draws import RANK, candidates, draw_cells, draw_facts
from dia2.inspect.trace.header import no_draws
from dia2.runtime.observed import MachineRow

_AROUND = 6  # calls shown before and after in the text streams
_NEXT = 6  # entries of the queue that are named
_CANDIDATES = 6  # of codebook 0
_OUTCOMES = {
    "new_word": "takes {word}",
    "break": "takes a break",
    "end": "asks for a word, but none is left",
    "pad": "takes no word",
}
_TIMES = {"first": "until the action", "machine": "machine", "second": "depformer", "frame": "whole frame"}


def report(trace: Dia2Trace, number: int, _script: int, times: bool) -> Report:
    """One call in full.

    Raises:
        TraceError: there is no such call.
    """
    facts = _facts(trace, number, times)
    phase = "warm-up" if facts["phase"] == "warmup" else "main loop"
    head = f" · {phase} · step {facts['step']} · rotary position {facts['position']} · KV slot {facts['slot']}"
    blocks: list[Block] = [Paragraph([(f"call {facts['call']}", "head"), head])]
    if facts["twice"]:
        first, second = facts["twice"]
        told = f"step {facts['step']} is decoded twice: by call {first} in warm-up and by call {second} in the main"
        blocks.append(Note("=", f"{told} loop"))
    blocks += [Paragraph([("edit  ", "mark"), edit]) for edit in facts["edits"]]
    return Report(facts, blocks + _machine(facts) + _streams(facts) + _action(facts) + _codes(facts) + _caches(facts))


def _facts(trace: Dia2Trace, call: int, times: bool) -> Facts:
    """Machine before and after, text streams around the call, draws, codes, caches, times.

    Raises:
        TraceError: there is no such call.
    """
    frame = trace.frame(call)
    call = frame.call
    last = min(len(trace) - 1, call + _AROUND)
    parts = list(labels(trace, last + 1, queues=(call - 1, call)))
    before, config, twice = parts[call - 1] if call else None, trace.config_at(call), decoded_twice(trace)
    streams = [stream_facts(trace, at, parts[at]) for at in range(max(0, call - _AROUND), last + 1)]
    return {
        "path": str(trace.path),
        "call": call,
        **picked(frame, "phase", "step", "position", "slot"),
        "twice": list(twice) if twice is not None and call in twice else None,
        "sampling": picked(asdict(config), "cfg_scale", "cfg_filter_k", "text", "audio"),
        "edits": [str(edit) for edit in trace.run.edits if edit.call == call],
        "before": _machine_facts(trace, call - 1, frame.before, before),
        "after": _machine_facts(trace, call, frame.machine, parts[call]),
        "action": next(said["action"] for said in streams if said["call"] == call),
        "seen_text": _seen_text(trace, frame, before),
        "streams": streams,
        "no_draws": None if frame.draws else no_draws(trace, call),
        "draws": [draw_facts(draw, trace.token_names(draw.name)) for draw in frame.draws],
        "seen": frame.audio,
        "codes": frame.codes,
        "kv": {"transformer": frame.kv_transformer, "depformer": frame.kv_depformer},
        "seconds": {name: finite(value) for name, value in asdict(frame.seconds).items()}
        if frame.seconds is not None and times
        else None,
    }


def _seen_text(trace: Dia2Trace, frame: Frame, before: Labels | None) -> list[Facts]:
    """Main and second token that the transformer saw: what the call before emitted."""
    pair = (None, None) if before is None else (before.main, before.second)
    return [
        token_facts(trace, token, part if part is not None and part.token == token else None)
        for token, part in zip(frame.text, pair, strict=True)
    ]


def _machine_facts(trace: Dia2Trace, call: int, row: MachineRow, parts: Labels | None) -> Facts:
    return {
        **picked(row, *COUNTS),
        "next": [entry.text if entry.tokens else None for entry in trace.queue_at(call)[:_NEXT]],
        "pending": [part_facts(part) for part in (parts.pending if parts else [])],
        "lookahead": [part_facts(part) for part in (parts.lookahead if parts else [])],
        "end_step": row.end_step,
    }


def _machine(facts: Facts) -> list[Block]:
    before, after = (_machine_texts(facts[side]) for side in ("before", "after"))
    rows: list[list[Cell]] = [
        [(name, "label"), old, ("same", "dim") if old == after[name] else (after[name], "head")]
        for name, old in before.items()
    ]
    columns = [Column(width=14), Column("before"), Column("after")]
    table = Table(columns, rows, indent=2, flex=Flex(most=48))
    return [Title("state machine"), table]


def _machine_texts(machine: Facts) -> dict[str, str]:
    words = ["(break)" if text is None else text for text in machine["next"]]
    more = machine["entries_left"] - len(words)
    return {
        "padding budget": str(machine["padding_budget"]),
        "forced padding": str(machine["forced_padding"]),
        "entries left": str(machine["entries_left"]),
        "next entries": " · ".join(words + ([f"{more} more"] if more > 0 else [])) or "none",
        "pending": queue_text(machine["pending"]),
        "lookahead": queue_text(machine["lookahead"]),
        "end step": "none yet" if machine["end_step"] is None else str(machine["end_step"]),
    }


def _streams(facts: Facts) -> list[Block]:
    def here(row: Facts, otherwise: Style = "") -> Style:
        return "head" if row["call"] == facts["call"] else otherwise

    def action(row: Facts) -> Cell:
        return action_text(row["action"]), here(row, "dim" if row["action"]["name"] == "pad" else "")

    table = Table.of(
        facts["streams"],
        (Column(width=1), lambda row: ("▶" if here(row) else "", "mark")),
        (Column("call", 5, "right"), lambda row: (row["call"], here(row, "label"))),
        (Column("step", 5, "right"), lambda row: (row["step"], here(row))),
        (Column("action", 9), action),
        (Column("main"), lambda row: token_cell(row["main"])),
        (Column("second"), lambda row: token_cell(row["second"])),
        gap=1,
        indent=1,
        margin=4,
        flex=Flex(most=30),
    )
    main, second = (token_text(token, 24) for token in facts["seen_text"])
    saw = Line([("  the transformer saw main ", "dim"), main, (" and second ", "dim"), second])
    return [Title("text streams: what each call emitted"), table, saw]


def _action(facts: Facts) -> list[Block]:
    action = facts["action"]
    draw = next((draw for draw in facts["draws"] if draw["name"] == "action"), None)
    chance = f" with probability {number(draw['probability'], 4)}" if draw else ""
    told = f"{action['name']} was {'given by the prefix' if action['given'] else 'drawn'}{chance}"
    if action["overruled"]:
        told += f"; the machine overruled it, because {action['overruled']}"
    told += f". The machine {_OUTCOMES[action['outcome']].format(word=action['word'])}."
    table = [candidates(draw, len(draw["candidates"]))] if draw else []
    return [Title("action"), Paragraph(told, indent=2), *table]


def _codes(facts: Facts) -> list[Block]:
    draws = {draw["name"]: draw for draw in facts["draws"]}
    blocks: list[Block] = [Title("codes")]
    if facts["no_draws"]:
        blocks.append(Paragraph((facts["no_draws"], "mark"), indent=2))
    if "cb0" in draws:
        scale = facts["sampling"]["cfg_scale"]
        told = Line(f"  cb0: the best of its candidates before and after guidance (cfg {scale:g})")
        blocks += [told, candidates(draws["cb0"], _CANDIDATES), Line()]
    heads = ["seen", "drawn", *(["p", "rank", "cond", "guided"] if draws else [])]
    rows: list[list[Cell]] = []
    for k, seen in enumerate(facts["seen"]):
        drawn = "–" if facts["codes"] is None else facts["codes"][k]
        more = draw_cells(draws.get("cb0" if k == 0 else f"dep.{k}")) if draws else []
        rows.append([(f"cb{k}", "label"), seen, (drawn, "head"), *more])
    columns = [Column("codebook", 8), *(Column(head, 9, "right") for head in heads)]
    blocks.append(Table(columns, rows, gap=1, indent=2))
    return [*blocks, Paragraph((RANK, "dim"), indent=2)] if draws else blocks


def _caches(facts: Facts) -> list[Block]:
    kv, seconds = facts["kv"], facts["seconds"]
    depformer = f", depformer {kv['depformer']}" if kv["depformer"] else ", depformer not run"
    pairs = [("filled KV slots", f"transformer {kv['transformer']}{depformer}")]
    if seconds is not None:
        pairs.append(("wall times", ", ".join(f"{told} {duration(seconds[name])}" for name, told in _TIMES.items())))
    elif facts["phase"] == "warmup":
        pairs.append(("wall times", "none of its own: warm-up is one pass"))
    return [Title("caches and times"), Pairs(pairs)]
