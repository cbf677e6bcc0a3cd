"""`dia2 trace frames --call N` of Dia: one call in full."""

from __future__ import annotations

from dia.adapter.origins import AFTER, BOS, DRAWN, EOS, PAD, PROMPT, origins
from dia.adapter.reports.calls import where
from dia.adapter.trace import DiaTrace
from dia2.common.errors import TraceError
from dia2.common.wording import counted, duration, finite
from dia2.inspect.schema.report import Block, Cell, Column, Facts, Line, Pairs, Paragraph, Report, Table, Title, picked
from dia2.inspect.schema.report_draws import NAMED, RANK, candidates, draw_cells, draw_facts, named
from dia2.inspect.trace.header import no_draws, whose

_WHY = {BOS: "given: BOS", PROMPT: "prompt", DRAWN: "drawn", PAD: "forced", AFTER: "after end"}
_CANDIDATES, _OTHERS = 6, 4  # named of the first channel, of each other one


def report(trace: DiaTrace, call: int, script: int, times: bool) -> Report:
    """One call: the row read, what each channel drew and among what, the row written, countdown, caches, time.

    Raises:
        TraceError: there is no such call.
    """
    facts = _facts(trace, call, script, times)
    does = where(trace, call).removeprefix(f"call {call}")
    head = Paragraph([(f"call {call}", "head"), f"{does} · rotary position and KV slot {call}"])
    return Report(
        facts, [head, *whose(trace, script), *_end(facts), *_channels(facts), *_draws(facts), *_caches(facts)]
    )


def _facts(trace: DiaTrace, call: int, script: int, times: bool) -> Facts:
    if not 0 <= call < len(trace):
        raise TraceError(f"There is no call {call}: {trace.path} has {counted(len(trace), 'call')}.")
    loop = bool(trace.phase[call])
    channels = range(trace.model.channels)
    signs = origins(trace, script)[call + 1].tolist() if loop else [""] * len(channels)
    seconds = float(trace.seconds[call])
    own, text = trace.kv_lengths[call].tolist()
    draws = {draw.name: draw_facts(draw, trace.token_names(draw.name)) for draw in trace.draws(call, script)}
    return {
        "path": str(trace.path),
        "script": script + 1,
        "scripts": trace.run.batch,
        "call": call,
        "phase": "loop" if loop else "prefill",
        "position": call,
        "slot": call,
        "sampling": picked(trace.run.config, "cfg_scale", "cfg_filter_top_k", "temperature", "top_p"),
        "countdown": {
            "before": _countdown(trace, call - 1, script),
            "after": _countdown(trace, call, script),
            "rows": trace.model.max_delay,
        },
        "no_draws": None if draws else no_draws(trace, call, what="candidates"),
        "channels": [_channel_facts(trace, call, script, c, draws.get(f"channel.{c}"), signs[c]) for c in channels],
        "kv": {"self": own, "text": text},
        "seconds": finite(seconds) if loop and times else None,
    }


def _countdown(trace: DiaTrace, call: int, script: int) -> int | None:
    value = int(trace.countdown[call, script]) if call >= 0 else -1
    return None if value < 0 else value


def _channel_facts(trace: DiaTrace, call: int, script: int, channel: int, draw: Facts | None, sign: str) -> Facts:
    """One channel; `sign` says where the cell that was written comes from, "" in prefill."""
    names, delay = trace.token_names(f"channel.{channel}"), trace.model.delays[channel]
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


def _end(facts: Facts) -> list[Block]:
    """Where in a script's end the call is."""
    before, after, rows = facts["countdown"].values()
    if after is None:
        return []
    if before is None:
        drew = facts["channels"][0]["drawn"]
        why = "channel 0 drew EOS" if drew and drew["name"] == "eos" else "no more rows are allowed"
        when, told = "the end begins: ", f"{why}; the other channels have {counted(rows, 'row')} to finish"
    elif after <= rows:
        when, told = "the end: ", f"row {after} of {rows} of the countdown"
    else:
        when, told = "after the end: ", "this script is written on while others run, and not heard"
    return [Paragraph([(when, "mark"), told])]


def _channels(facts: Facts) -> list[Block]:
    def token(part: Facts | None) -> str:
        return "–" if part is None else part["name"] or str(part["id"])

    def row(part: Facts) -> list[Cell]:
        drawn = part["origin"] == "drawn"
        return [
            (f"ch{part['channel']}", "label"),
            (f"+{part['delay']}", "dim"),
            ("–" if part["frame"] is None else part["frame"], "dim"),
            token(part["read"]),
            (token(part["drawn"]), "head" if drawn else "dim"),
            *draw_cells(part["draw"]),
            (token(part["written"]), "head"),
            (part["origin"] or "", "" if drawn else "mark"),
        ]

    heads = {"delay": 5, "frame": 5, "read": 4, "drew": 4, "p": 6, "rank": 8, "cond": 6, "guided": 7, "written": 7}
    columns = [Column("channel", 7), *(Column(name, width, "right") for name, width in heads.items()), Column(width=10)]
    table = Table(columns, [row(part) for part in facts["channels"]], gap=1, indent=1)
    if facts["no_draws"]:
        return [Title("channels"), Paragraph((facts["no_draws"], "mark"), indent=2), table]
    told = RANK
    if facts["channels"][0]["drawn"]["name"] == "eos":
        told += " EOS was the best of channel 0, so nothing else could be drawn there."
    return [Title("channels"), table, Paragraph((told, "dim"), indent=2)]


def _draws(facts: Facts) -> list[Block]:
    draws = [part["draw"] for part in facts["channels"] if part["draw"] is not None]
    if not draws:
        return []
    blocks: list[Block] = [Title(f"candidates before and after guidance (cfg {facts['sampling']['cfg_scale']:g})")]
    if draws[0]["name"] == "channel.0":
        first, *draws = draws
        blocks += [Line("  channel 0"), candidates(first, _CANDIDATES), *([Line()] if draws else [])]
    if draws:
        rows: list[list[Cell]] = [
            [(draw["name"].replace("channel.", "ch"), "label"), named(draw, _OTHERS)] for draw in draws
        ]
        table = Table([Column(width=8), Column()], rows, gap=1, indent=2, margin=1)
        blocks += [Paragraph((f"of each channel: best {NAMED}", "dim"), indent=2), table]
    return blocks


def _caches(facts: Facts) -> list[Block]:
    kv, seconds = facts["kv"], facts["seconds"]
    pairs = [("filled KV slots", f"self-attention {kv['self']}, cross-attention {kv['text']} of the text")]
    if seconds is not None:
        pairs.append(("wall time", duration(seconds)))
    elif facts["phase"] == "prefill":
        pairs.append(("wall time", "none of its own: prefill is one pass"))
    return [Title("caches and times"), Pairs(pairs)]
