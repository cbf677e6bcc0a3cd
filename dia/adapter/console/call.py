"""`dia2 trace frames --call N` of Dia: one call in full."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from dia.adapter.console.frames import special_names
from dia.adapter.console.scripts import whose
from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.trace import DiaTrace
from dia2.common.errors import TraceError
from dia2.common.wording import counted
from dia2.inspect.views.console.call import draw_facts
from dia2.inspect.views.console.frame import CANDIDATES, draw_cells, print_candidates
from dia2.inspect.views.console.page import (
    DIM,
    HEAD,
    LABEL,
    MARK,
    Column,
    Facts,
    Page,
    duration,
    finite,
    join,
    number,
    plain,
)

_WHY = {BOS: "given: BOS", PROMPT: "prompt", DRAWN: "drawn", PAD: "forced", AFTER: "after end"}
_OTHERS = 4  # candidates named of each channel but the first


def frame_facts(trace: DiaTrace, call: int, *, script: int = 0, times: bool = True) -> Facts:
    """One call: the row read, what each channel drew and among what, the row written, countdown, caches, time.

    Raises:
        TraceError: there is no such call.
    """
    if not 0 <= call < len(trace):
        raise TraceError(f"There is no call {call}: {trace.path} has {counted(len(trace), 'call')}.")
    loop, names = bool(trace.phase[call]), special_names(trace)
    channels = range(trace.model.channels)
    signs = origins(trace, script)[call + 1].tolist() if loop else [""] * len(channels)
    config, seconds = trace.run.config, float(trace.seconds[call])
    own, text = trace.kv_lengths[call].tolist()
    draws = {draw.name: draw_facts(draw, names) for draw in trace.draws(call, script)}
    return {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.run.batch,
        "call": call,
        "phase": "loop" if loop else "prefill",
        "position": call,
        "slot": call,
        "sampling": {
            "cfg_scale": config.cfg_scale,
            "cfg_filter_top_k": config.cfg_filter_top_k,
            "temperature": config.temperature,
            "top_p": config.top_p,
        },
        "countdown": {
            "before": _countdown(trace, call - 1, script),
            "after": _countdown(trace, call, script),
            "rows": trace.model.max_delay,
        },
        "no_draws": _no_draws(trace, call, bool(draws)),
        "channels": [_channel_facts(trace, call, script, c, draws.get(f"channel.{c}"), signs[c]) for c in channels],
        "kv": {"self": own, "text": text},
        "seconds": finite(seconds) if loop and times else None,
    }


def _countdown(trace: DiaTrace, call: int, script: int) -> int | None:
    value = int(trace.countdown[call, script]) if call >= 0 else -1
    return None if value < 0 else value


def _channel_facts(trace: DiaTrace, call: int, script: int, channel: int, draw: Facts | None, sign: str) -> Facts:
    """One channel; `sign` says where the cell that was written comes from, "" in prefill."""
    names, delay = special_names(trace), trace.model.delays[channel]
    frame = call - delay  # of the cell that is written: its row, less the delay, less BOS in row 0
    drawn, written, read = (int(part[call, script, channel]) for part in (trace.drawn, trace.written, trace.tokens))
    origin = _WHY.get(sign)
    if sign == EOS:
        origin = "drawn" if drawn == written else "forced"
    return {
        "channel": channel,
        "delay": delay,
        "frame": frame if frame >= 0 else None,
        "read": {"id": read, "name": names.get(read)},
        "drawn": {"id": drawn, "name": names.get(drawn)} if sign else None,
        "written": {"id": written, "name": names.get(written)} if sign else None,
        "origin": origin,
        "draw": draw,
    }


def _no_draws(trace: DiaTrace, call: int, found: bool) -> str | None:
    """Why a call has no draws, in words."""
    if found:
        return None
    if not trace.phase[call]:
        return "a row of the prefill is given; nothing is drawn."
    if trace.manifest.level == "tokens":
        return "a trace of level tokens keeps no candidates: record with --trace-level topk."
    start = trace.manifest.tokens_only_from
    if start is not None and call >= start:
        return f"from call {start} on this trace keeps tokens only: its byte budget was reached."
    return "this trace keeps no candidates: its hook filter left them out."


def print_frame(trace: DiaTrace, console: Console, call: int, *, script: int = 0, times: bool = True) -> None:
    """Print one call in full.

    Raises:
        TraceError: there is no such call.
    """
    facts, page = frame_facts(trace, call, script=script, times=times), Page(console)
    loop = facts["phase"] == "loop"
    does = f"reads row {call}, writes row {call + 1}" if loop else f"reads row {call}, which is given"
    head = f" · {facts['phase']} · {does} · rotary position and KV slot {call}"
    page.paragraph(join((f"call {call}", HEAD), head))
    if told := whose(trace, script):
        page.line((told, HEAD))
    _countdown_line(facts, page)
    _channels(facts, page)
    _candidates(facts, page)
    page.title("caches and times")
    kv, seconds = facts["kv"], facts["seconds"]
    pairs = [("filled KV slots", plain(f"self-attention {kv['self']}, cross-attention {kv['text']} of the text"))]
    if seconds is not None:
        pairs.append(("wall time", plain(duration(seconds))))
    elif not loop:
        pairs.append(("wall time", plain("none of its own: prefill is one pass")))
    page.pairs(pairs)


def _countdown_line(facts: Facts, page: Page) -> None:
    after, rows = facts["countdown"]["after"], facts["countdown"]["rows"]
    if after is None:
        return
    if facts["countdown"]["before"] is None:
        drew = facts["channels"][0]["drawn"]
        why = "channel 0 drew EOS" if drew and drew["name"] == "eos" else "no more rows are allowed"
        page.paragraph(
            join(("the end begins: ", MARK), f"{why}; the other channels have {counted(rows, 'row')} to finish")
        )
    elif after <= rows:
        page.paragraph(join(("the end: ", MARK), f"row {after} of {rows} of the countdown"))
    else:
        page.paragraph(join(("after the end: ", MARK), "this script is written on while others run, and not heard"))


def _token(part: Facts | None) -> str:
    return "–" if part is None else part["name"] or str(part["id"])


def _channels(facts: Facts, page: Page) -> None:
    page.title("channels")
    if facts["no_draws"]:
        page.paragraph(plain(facts["no_draws"], MARK), indent=2)
    widths = [7, 5, 5, 4, 4, 6, 8, 6, 7, 7, 10]
    columns = [Column(width, "left" if i in (0, 10) else "right") for i, width in enumerate(widths)]
    heads = ("channel", "delay", "frame", "read", "drew", "p", "rank", "cond", "guided", "written", "")
    page.row([plain(name, HEAD) for name in heads], columns, gap=1, indent=1)
    for part in facts["channels"]:
        drawn = part["origin"] == "drawn"
        cells = [
            plain(f"ch{part['channel']}", LABEL),
            plain(f"+{part['delay']}", DIM),
            plain("–" if part["frame"] is None else part["frame"], DIM),
            plain(_token(part["read"])),
            plain(_token(part["drawn"]), HEAD if drawn else DIM),
            *draw_cells(part["draw"]),
            plain(_token(part["written"]), HEAD),
            plain(part["origin"] or "", "" if drawn else MARK),
        ]
        page.row(cells, columns, gap=1, indent=1)
    if not facts["no_draws"]:
        told = "rank: place of the choice by conditional logit; guidance decides who may be drawn, cond how likely."
        if facts["channels"][0]["drawn"]["name"] == "eos":
            told += " EOS was the best of channel 0, so nothing else could be drawn there."
        page.paragraph(plain(told, DIM), indent=2)


def _candidates(facts: Facts, page: Page) -> None:
    draws = [part["draw"] for part in facts["channels"] if part["draw"] is not None]
    if not draws:
        return
    page.title(f"candidates before and after guidance (cfg {facts['sampling']['cfg_scale']:g})")
    if draws[0]["name"] == "channel.0":
        page.line("  channel 0")
        print_candidates(draws[0], CANDIDATES, page)
        draws = draws[1:]
        if draws:
            page.line()
    columns = [Column(8), Column(page.width - 12)]
    if draws:
        told = "of each channel: best by conditional logit; ▶ the choice; (in brackets) what might not be drawn"
        page.paragraph(plain(told, DIM), indent=2)
    for draw in draws:
        cells = [plain(draw["name"].replace("channel.", "ch"), LABEL), _named(draw)]
        page.row(cells, columns, gap=1, indent=2)


def _named(draw: Facts) -> Text:
    """The best candidates of a draw in a line, and the choice whatever its rank."""
    best = draw["candidates"][:_OTHERS]
    best += [part for part in draw["candidates"][_OTHERS:] if part["id"] == draw["choice"]]
    parts: list[Text | str | tuple[str, str]] = []
    for part in best:
        chosen = part["id"] == draw["choice"]
        told = f"{part['name'] or part['id']} {number(part['cond'])}"
        told = told if part["kept"] else f"({told})"
        parts += ["  " if parts else "", ("▶ ", MARK) if chosen else "", (told, HEAD if chosen else "")]
    return join(*parts)
