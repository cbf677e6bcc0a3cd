"""`dia2 trace frames`: one line per call."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from dia2.adapter.machine import Labels, labels
from dia2.adapter.reports.words import action_facts, action_text, token_cell, token_facts
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted, finite, milliseconds
from dia2.inspect.schema.report import (
    Block,
    Cell,
    Column,
    Cut,
    Facts,
    Flex,
    Line,
    Note,
    Paragraph,
    Part,
    Report,
    Table,
    picked,
)
from dia2.inspect.trace.header import span

COUNTS = ("padding_budget", "forced_padding", "entries_left")  # of the machine
_SIGNS = {
    "~": ("break", "the machine took a break."),
    "∅": ("end", "the machine asked for a word when none was left."),
}


def report(trace: Dia2Trace, first: int, last: int, _script: int, times: bool) -> Report:
    """Calls `first` … `last`, both included.

    `twice` says that the call's step is also that of the call before or after: the last frame of a prefix.
    """
    twice, kv = decoded_twice(trace) or (), trace.kv_lengths
    facts: Facts = {
        "path": str(trace.path),
        "calls_in_trace": len(trace),
        "edits": [{"call": edit.call, "edit": str(edit)} for edit in trace.run.edits if first <= edit.call <= last],
        "calls": [
            _call_facts(trace, call, parts, kv[call].tolist(), times) | {"twice": call in twice}
            for call, parts in enumerate(labels(trace, last + 1))
            if call >= first
        ],
    }
    return Report(facts, [_table(facts["calls"], trace, last, times), Line(), *_notes(facts, trace, first, last)])


def where(trace: Dia2Trace, call: int) -> list[Part]:
    """Which call, and what was being said."""
    kind = "warm-up" if call < trace.warmup_calls else "main loop"
    told = f"call {call} · {kind} · step {int(trace.steps[call])}, "
    spoken = [word for word in trace.words if word.call is not None and word.call <= call]
    return [told, Cut(spoken[-1].text, before="in “", after="”", room=29) if spoken else "before the first word"]


def progress(trace: Dia2Trace) -> str:
    """Words that were taken, and how long the frames of the main loop sound."""
    taken = sum(word.call is not None for word in trace.words)
    seconds = (len(trace) - trace.warmup_calls) / trace.model.frame_rate
    return f"{taken} of {counted(len(trace.words), 'word')} taken, {seconds:.2f} s of frames"


def decoded_twice(trace: Dia2Trace) -> tuple[int, int] | None:
    """The two calls of a prefix's last frame: the last of the warm-up, the first of the main loop."""
    warmup = trace.warmup_calls
    if 0 < warmup < len(trace) and trace.steps[warmup - 1] == trace.steps[warmup]:
        return warmup - 1, warmup
    return None


def stream_facts(trace: Dia2Trace, call: int, parts: Labels) -> Facts:
    """What a call emitted, and why."""
    row = trace.machine_at(call)
    return {
        "call": call,
        "step": row.step,
        "action": action_facts(trace, call, parts.taken),
        "main": token_facts(trace, row.main, parts.main),
        "second": token_facts(trace, row.second, parts.second),
    }


def _call_facts(trace: Dia2Trace, call: int, parts: Labels, kv: list[int], times: bool) -> Facts:
    row, warmup, said = trace.machine_at(call), trace.column("phase")[call] == 0, stream_facts(trace, call, parts)
    return {
        "call": call,
        "phase": "warmup" if warmup else "main",
        **said,
        **picked(row, *COUNTS),
        "pending": len(row.pending),
        "kv": {"transformer": kv[0], "depformer": kv[1]},
        "codes": None if warmup else trace.codes[call].tolist(),
        "seconds": None if warmup or not times else finite(float(trace.times[call, 3])),
    }


def _table(calls: list[Facts], trace: Dia2Trace, last: int, times: bool) -> Table:
    digits = max(3, len(str(last + 1)))  # of a call, and of the slots filled after it
    code = max(3, len(str(trace.model.audio_vocabulary - 1)))

    def number(call: Facts) -> Cell:
        return [("=" if call["twice"] else "", "mark"), (f"{call['call']:>{digits}}", "label")]

    def action(call: Facts) -> Cell:
        action, acts = call["action"], call["action"]["outcome"] in ("new_word", "break", "end")
        return action_text(action), "mark" if action["overruled"] else "head" if acts else "dim"

    def drawn(k: int) -> Callable[[Facts], Cell]:
        return lambda call: "" if call["codes"] is None else call["codes"][k]

    return Table.of(
        calls,
        (Column("call", digits + 1, "right"), number),
        (Column("in", 4), lambda call: ("warm", "dim") if call["phase"] == "warmup" else "main"),
        (Column("step", 4, "right"), lambda call: (call["step"], "mark" if call["twice"] else "")),
        (Column("action", 9), action),
        (Column("main"), lambda call: token_cell(call["main"])),
        (Column("second"), lambda call: token_cell(call["second"])),
        (Column("bud", 3, "right"), itemgetter("padding_budget")),
        (Column("fpad", 4, "right"), itemgetter("forced_padding")),
        (Column("left", 4, "right"), itemgetter("entries_left")),
        (Column("pend", 4, "right"), itemgetter("pending")),
        (Column("kv", digits, "right"), lambda call: call["kv"]["transformer"]),
        *((Column(f"cb{k}", code, "right", optional=True), drawn(k)) for k in range(trace.model.codebooks)),
        *([(Column("ms", 5, "right"), lambda call: milliseconds(call["seconds"]))] if times else []),
        gap=1,
        margin=1,
        flex=Flex(least=9, early=14, most=22),
    )


def _notes(facts: Facts, trace: Dia2Trace, first: int, last: int) -> list[Block]:
    calls = facts["calls"]
    told = "main, second: the text tokens that the call emitted. After it: bud padding budget, fpad forced padding, "
    told += "left entries in the queue, pend pending tokens, kv filled slots of the transformer's cache."
    notes: list[Block] = [Paragraph((told, "dim"))]
    if any(call["phase"] == "warmup" for call in calls):
        told = "warm: the prefix, in one pass; actions are given and no codes are drawn."
        notes.append(Paragraph((told, "dim")))
    twice = decoded_twice(trace)
    if twice is not None and any(call["twice"] for call in calls):
        told = f"step {int(trace.steps[twice[0]])} is decoded twice: by call {twice[0]}, the last of warm-up, and by "
        notes.append(Note("=", f"{told}call {twice[1]}, the first of the main loop, in a KV slot of its own."))
    reasons: dict[str, list[int]] = {}
    for call in calls:
        if why := call["action"]["overruled"]:
            reasons.setdefault(why, []).append(call["call"])
    for why, where in reasons.items():
        numbers = ", ".join(map(str, where[:8])) + (", …" if len(where) > 8 else "")
        told = f"the machine overruled the action, because {why}: call{'s' * (len(where) > 1)} {numbers}."
        notes.append(Note("!", told))
    outcomes = {call["action"]["outcome"] for call in calls}
    notes += [Note(sign, told) for sign, (outcome, told) in _SIGNS.items() if outcome in outcomes]
    notes += [Paragraph([("edit  ", "mark"), edit["edit"]]) for edit in facts["edits"]]
    return [*notes, span("call", first, last, len(trace), "codebook")]
