"""`dia2 trace frames --call N`: one call in full."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.draw import BEST
from dia2.inspect.views.console.call import frame_facts
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, MARK, Column, Facts, Page, duration, join, number, plain
from dia2.inspect.views.console.words import action_text, queue_text, token_text

CANDIDATES = 6  # of codebook 0


def print_frame(trace: Dia2Trace, console: Console, call: int, *, script: int = 0, times: bool = True) -> None:
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
        page.row([plain("=", MARK), plain(told)], [Column(1), Column(page.width - 2)], gap=1)
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
    main, second = (token_text(token, 24) for token in facts["seen_text"])
    page.line(("  the transformer saw main ", DIM), main, (" and second ", DIM), second)


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
    page.paragraph(f"{told}. The machine {result}.", indent=2)
    if draw:
        print_candidates(draw, len(draw["candidates"]), page)


def print_candidates(draw: Facts, most: int, page: Page) -> None:
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
        page.paragraph(plain(facts["no_draws"], MARK), indent=2)
    draws = {draw["name"]: draw for draw in facts["draws"]}
    if "cb0" in draws:
        page.line(
            f"  cb0: the best of its candidates before and after guidance (cfg {facts['sampling']['cfg_scale']:g})"
        )
        print_candidates(draws["cb0"], CANDIDATES, page)
        page.line()
    widths = [Column(8), *(Column(9, "right") for _ in range(6))]
    heads = ["codebook", "seen", "drawn", *(["p", "rank", "cond", "guided"] if draws else [])]
    page.row([plain(name, HEAD) for name in heads], widths[: len(heads)], gap=1, indent=2)
    for k, seen in enumerate(facts["seen"]):
        drawn = "–" if facts["codes"] is None else str(facts["codes"][k])
        cells = [plain(f"cb{k}", LABEL), plain(seen), plain(drawn, HEAD)]
        cells += draw_cells(draws.get("cb0" if k == 0 else f"dep.{k}")) if draws else []
        page.row(cells, widths[: len(cells)], gap=1, indent=2)
    if draws:
        told = "rank: place of the choice by conditional logit; guidance decides who may be drawn, cond how likely."
        page.paragraph(plain(told, DIM), indent=2)


def draw_cells(draw: Facts | None) -> list[Text]:
    """Probability, rank, conditional and guided logit of what was drawn."""
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
