"""`dia2 trace frames --call N`: one call in full."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from dia2.hooks import MachineRow
from dia2.inspect.console.frames import decoded_twice
from dia2.inspect.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, duration, finite, join, number, plain
from dia2.inspect.console.words import (
    Labels,
    action_facts,
    action_text,
    labels,
    queue_facts,
    queue_text,
    token_facts,
    token_text,
)
from dia2.inspect.draws import BEST, Draw
from dia2.inspect.trace import Frame, Trace

AROUND = 6  # calls shown before and after in the text streams
_NEXT = 6  # entries of the queue that are named
_CANDIDATES = 6  # of codebook 0


def frame_facts(trace: Trace, call: int, *, times: bool = True) -> Facts:
    """One call: machine before and after, text streams around it, draws, codes, caches, times.

    Raises:
        TraceError: there is no such call.
    """
    frame = trace.frame(call)
    last = min(len(trace) - 1, call + AROUND)
    parts = list(labels(trace, last + 1, queues=(call - 1, call)))
    config = trace.config_at(call)
    twice = decoded_twice(trace)
    seconds = frame.seconds
    return {
        "path": str(trace.path),
        "call": call,
        "phase": frame.phase,
        "step": frame.step,
        "position": frame.position,
        "slot": frame.slot,
        "twice": list(twice) if twice is not None and call in twice else None,
        "sampling": {
            "cfg_scale": config.cfg_scale,
            "cfg_filter_k": config.cfg_filter_k,
            "text": {"temperature": config.text.temperature, "top_k": config.text.top_k},
            "audio": {"temperature": config.audio.temperature, "top_k": config.audio.top_k},
        },
        "edits": [str(edit) for edit in trace.run.edits if edit.call == call],
        "before": _machine_facts(trace, frame.before, parts[call - 1] if call else None),
        "after": _machine_facts(trace, frame.machine, parts[call]),
        "action": action_facts(trace, call, parts[call].taken),
        "seen_text": _seen_text(trace, frame, parts),
        "streams": [_stream_facts(trace, at, parts[at]) for at in range(max(0, call - AROUND), last + 1)],
        "no_draws": _no_draws(trace, frame),
        "draws": [_draw_facts(trace, draw) for draw in frame.draws],
        "seen": frame.audio,
        "codes": frame.codes,
        "kv": {"transformer": frame.kv_transformer, "depformer": frame.kv_depformer},
        "seconds": None
        if seconds is None or not times
        else {name: finite(getattr(seconds, name)) for name in ("first", "machine", "second", "frame")},
    }


def _seen_text(trace: Trace, frame: Frame, parts: list[Labels]) -> list[Facts]:
    """Main and second token that the transformer saw: what the call before emitted."""
    before = parts[frame.call - 1] if frame.call else None
    pair = (None, None) if before is None else (before.main, before.second)
    return [
        token_facts(trace, token, part if part is not None and part.token == token else None)
        for token, part in zip(frame.text, pair, strict=True)
    ]


def _machine_facts(trace: Trace, row: MachineRow, parts: Labels | None) -> Facts:
    entries = trace.run.entries
    first = len(entries) - row.entries_left
    return {
        "padding_budget": row.padding_budget,
        "forced_padding": row.forced_padding,
        "entries_left": row.entries_left,
        "next": [entry.text if entry.tokens else None for entry in entries[max(0, first) :][:_NEXT]],
        "pending": queue_facts(parts.pending if parts else []),
        "lookahead": queue_facts(parts.lookahead if parts else []),
        "end_step": row.end_step,
    }


def _stream_facts(trace: Trace, call: int, parts: Labels) -> Facts:
    row = trace.machine_at(call)
    return {
        "call": call,
        "step": row.step,
        "action": action_facts(trace, call, parts.taken),
        "main": token_facts(trace, row.main, parts.main),
        "second": token_facts(trace, row.second, parts.second),
    }


def _draw_facts(trace: Trace, draw: Draw) -> Facts:
    ids = [candidate.token for candidate in draw.candidates]
    rank = ids.index(draw.choice) + 1 if draw.choice in ids else None
    if rank == BEST:
        rank = None  # the last place also holds a choice that is no candidate
    names = {trace.model.tokens.action_new_word: "new_word", trace.model.tokens.action_pad: "pad"}
    return {
        "name": draw.name,
        "choice": draw.choice,
        "probability": finite(draw.probability),
        "rank": rank,
        "candidates": [
            {
                "id": candidate.token,
                "name": names.get(candidate.token) if draw.name == "action" else None,
                "cond": finite(candidate.cond),
                "guided": finite(candidate.guided),
                "kept": candidate.kept,
            }
            for candidate in draw.candidates
        ],
    }


def _no_draws(trace: Trace, frame: Frame) -> str | None:
    """Why a call has no draws, in words."""
    if frame.draws:
        return None
    if frame.phase == "warmup":
        return "a call of warm-up draws nothing: actions and codes are the prefix's."
    if trace.manifest.level == "tokens":
        return "a trace of level tokens keeps no draws: record with --trace-level topk."
    start = trace.manifest.tokens_only_from
    if start is not None and frame.call >= start:
        return f"from call {start} on this trace keeps tokens only: its byte budget was reached."
    return "this trace keeps no draws: its hook filter left them out."


def print_frame(trace: Trace, console: Console, call: int, *, times: bool = True) -> None:
    """Print one call in full.

    Raises:
        TraceError: there is no such call.
    """
    facts, page = frame_facts(trace, call, times=times), Page(console)
    phase = "warm-up" if facts["phase"] == "warmup" else "main loop"
    head = f" · {phase} · step {facts['step']} · rotary position {facts['position']} · KV slot {facts['slot']}"
    page.paragraph(join((f"call {call}", HEAD), head))
    if facts["twice"]:
        first, second = facts["twice"]
        told = (
            f"step {facts['step']} is decoded twice: by call {first} in warm-up and by call {second} in the main loop"
        )
        page.paragraph(join(("= ", MARK), told))
    for edit in facts["edits"]:
        page.paragraph(join(("edit  ", MARK), edit))
    _machine(facts, page)
    _streams(facts, page)
    _action(facts, page)
    _codes(facts, page)
    _caches(facts, page)


def _machine(facts: Facts, page: Page) -> None:
    page.title("state machine")
    room = min(48, (page.width - 2 - 14 - 4) // 2)
    columns = [Column(14), Column(room), Column(room)]
    page.row([plain(""), plain("before", HEAD), plain("after", HEAD)], columns, indent=2)
    before, after = facts["before"], facts["after"]
    rows = [
        (name.replace("_", " "), str(before[name]), str(after[name]))
        for name in ("padding_budget", "forced_padding", "entries_left")
    ]
    rows.append(("next entries", _next(before), _next(after)))
    rows += [(name, queue_text(before[name]), queue_text(after[name])) for name in ("pending", "lookahead")]
    ends = ["none yet" if part["end_step"] is None else str(part["end_step"]) for part in (before, after)]
    rows.append(("end step", ends[0], ends[1]))
    for name, old, new in rows:
        same = old == new
        page.row(
            [plain(name, LABEL), plain(old), plain("same" if same else new, DIM if same else HEAD)], columns, indent=2
        )


def _next(machine: Facts) -> str:
    words = ["(break)" if text is None else text for text in machine["next"]]
    more = machine["entries_left"] - len(words)
    return " · ".join(words + ([f"{more} more"] if more > 0 else [])) or "none"


def _streams(facts: Facts, page: Page) -> None:
    page.title("text streams: what each call emitted")
    words = min(30, (page.width - 2 - 2 - 5 - 6 - 11 - 4) // 2)
    columns = [Column(1), Column(5, "right"), Column(5, "right"), Column(9), Column(words), Column(words)]
    heads = ("", "call", "step", "action", "main", "second")
    page.row([plain(name, HEAD) for name in heads], columns, gap=1, indent=1)
    for row in facts["streams"]:
        here = row["call"] == facts["call"]
        style = HEAD if here else ""
        action = row["action"]
        cells = [
            plain("▶" if here else "", MARK),
            plain(row["call"], style or LABEL),
            plain(row["step"], style),
            plain(action_text(action), style or (DIM if action["name"] == "pad" else "")),
            token_text(row["main"], words),
            token_text(row["second"], words),
        ]
        page.row(cells, columns, gap=1, indent=1)
    seen = facts["seen_text"]
    page.line(("  this call's transformer saw ", DIM), token_text(seen[0], 30), (" and ", DIM), token_text(seen[1], 30))


def _action(facts: Facts, page: Page) -> None:
    action = facts["action"]
    page.title("action")
    draw = next((draw for draw in facts["draws"] if draw["name"] == "action"), None)
    chance = f" with probability {number(draw['probability'], 4)}" if draw else ""
    told = f"{action['name']} was {'given by the prefix' if action['given'] else 'drawn'}{chance}"
    if action["overruled"]:
        told += f"; the machine overruled it, because {action['overruled']}"
    result = {
        "new_word": f"takes {action['word']}",
        "break": "takes a break",
        "end": "asks for a word, but none is left",
        "pad": "takes no word",
    }[action["outcome"]]
    page.row([plain("  "), plain(f"{told}. The machine {result}.")], [Column(0), Column(page.width - 2)], gap=2)
    if draw:
        _candidates(draw, len(draw["candidates"]), page)


def _candidates(draw: Facts, most: int, page: Page) -> None:
    """The best candidates by conditional logit; the choice whatever its rank."""
    columns = [Column(1), Column(9), Column(9, "right"), Column(9, "right"), Column(14)]
    heads = ("", "candidate", "cond", "guided", "guidance")
    page.row([plain(name, HEAD) for name in heads], columns, indent=1)
    best = draw["candidates"][:most]
    best += [part for part in draw["candidates"][most:] if part["id"] == draw["choice"]]
    for part in best:
        chosen = part["id"] == draw["choice"]
        style = HEAD if chosen else "" if part["kept"] else DIM
        cells = [
            plain("▶" if chosen else "", MARK),
            plain(part["name"] or part["id"], style),
            plain(number(part["cond"]), style),
            plain(number(part["guided"]), style),
            plain("kept" if part["kept"] else "removed", style),
        ]
        page.row(cells, columns, indent=1)


def _codes(facts: Facts, page: Page) -> None:
    page.title("codes")
    if facts["no_draws"]:
        page.row([plain(""), plain(facts["no_draws"], MARK)], [Column(0), Column(page.width - 2)])
    draws = {draw["name"]: draw for draw in facts["draws"]}
    if "cb0" in draws:
        page.line(
            f"  cb0: the best of its candidates before and after guidance (cfg {facts['sampling']['cfg_scale']:g})"
        )
        _candidates(draws["cb0"], _CANDIDATES, page)
        page.line()
    widths = [Column(8), *(Column(9, "right") for _ in range(6))]
    heads = ["codebook", "seen", "drawn", *(["p", "rank", "cond", "guided"] if draws else [])]
    page.row([plain(name, HEAD) for name in heads], widths[: len(heads)], gap=1, indent=2)
    for k, seen in enumerate(facts["seen"]):
        drawn = "–" if facts["codes"] is None else str(facts["codes"][k])
        cells = [plain(f"cb{k}", LABEL), plain(seen), plain(drawn, HEAD)]
        cells += _draw_cells(draws.get("cb0" if k == 0 else f"dep.{k}")) if draws else []
        page.row(cells, widths[: len(cells)], gap=1, indent=2)
    if draws:
        told = "rank: place of the choice by conditional logit; guidance decides who may be drawn, cond how likely."
        page.row([plain(""), plain(told, DIM)], [Column(0), Column(page.width - 2)])


def _draw_cells(draw: Facts | None) -> list[Text]:
    if draw is None:
        return [plain("–", DIM) for _ in range(4)]
    choice = next((part for part in draw["candidates"] if part["id"] == draw["choice"]), None)
    rank = f"{BEST} or on" if draw["rank"] is None else str(draw["rank"])
    logits = ["–", "–"] if choice is None else [number(choice["cond"]), number(choice["guided"])]
    return [plain(number(draw["probability"], 4)), plain(rank, MARK if rank != "1" else ""), *map(plain, logits)]


def _caches(facts: Facts, page: Page) -> None:
    page.title("caches and times")
    kv, seconds = facts["kv"], facts["seconds"]
    depformer = f", depformer {kv['depformer']}" if kv["depformer"] else ", depformer not run"
    pairs = [("filled KV slots", plain(f"transformer {kv['transformer']}{depformer}"))]
    if seconds is not None:
        names = {"first": "until the action", "machine": "machine", "second": "depformer", "frame": "whole frame"}
        times = ", ".join(f"{told} {duration(seconds[name])}" for name, told in names.items())
        pairs.append(("wall times", plain(times)))
    elif facts["phase"] == "warmup":
        pairs.append(("wall times", plain("none of its own: warm-up is one pass")))
    page.pairs(pairs)
