"""`dia2 trace show`: what a run was, and the thirty rows it went through."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.schema.row import FilledRow
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.page import DIM, FAILED, HEAD, LABEL, Column, Facts, Page, duration, join, plain

WIDE = 120  # columns from which the rows are a table
_SIGNS = {"done": "✓", "not run": "·", "failed": "✗", "not finished": "…"}
_CELLS = ("trigger", "before", "mutations", "outputs")


def show_facts(trace: Dia2Trace, *, times: bool = True) -> Facts:
    """The header and the thirty rows.

    Args:
        trace: any trace, partial ones too.
        times: with wall times and the date, which differ between two runs that are the same otherwise.
    """
    return header_facts(trace, times=times) | {"rows": [row_facts(row, times) for row in trace.rows()]}


def state_facts(trace: Trace[Any], times: bool) -> Facts:
    """How much of a run a trace holds, whatever model ran."""
    manifest = trace.manifest
    return {
        "state": trace.state,
        "complete": trace.complete,
        "started": manifest.started if times else None,
        "level": manifest.level,
        "hooks": manifest.hooks,
        "tokens_only_from": manifest.tokens_only_from,
    }


def header_facts(trace: Dia2Trace, *, times: bool = True) -> Facts:
    """What a run was; fields are none, and `run` too, where it ended before it began."""
    manifest = trace.manifest
    facts: Facts = {
        "path": str(trace.path),
        **state_facts(trace, times),
        "redacted": manifest.redacted,
        "calls": {"warmup": trace.warmup_calls, "main": len(trace) - trace.warmup_calls, "all": len(trace)},
        "stop_reason": manifest.result.stop_reason,
        "audio_seconds": None,
        "run": None,
    }
    run = manifest.run
    if run is None:
        return facts
    if manifest.result.samples is not None:
        facts["audio_seconds"] = manifest.result.samples / run.model.sample_rate
    words, heard = trace.words, trace.heard
    facts["run"] = {
        "seed": run.seed,
        "device": run.model.device,
        "dtype": run.model.dtype,
        "cfg_scale": run.config.cfg_scale,
        "cfg_filter_k": run.config.cfg_filter_k,
        "text": asdict(run.config.text),
        "audio": asdict(run.config.audio),
        "initial_padding": run.config.initial_padding,
        "prefix_words": run.prefix_words,
        "prefix_frames": run.prefix_frames,
        "words": len(words),
        "words_taken": sum(word.call is not None for word in words),
        "words_heard": None if heard is None else len(heard),
        "edits": [str(edit) for edit in run.edits],
        "forked_at": run.forked_at,
    }
    return facts


def row_facts(filled: FilledRow, times: bool) -> Facts:
    """A row of the table, ready for JSON."""
    return {
        "number": filled.row.number,
        "title": filled.row.title,
        "where": filled.row.where,
        "status": filled.status,
        **{name: getattr(filled, name) for name in _CELLS},
        "seconds": filled.seconds if times else None,
        "note": filled.note,
    }


def print_show(trace: Dia2Trace, console: Console, *, times: bool = True) -> None:
    """Print the header and the rows; a table from 120 columns on."""
    facts, page = show_facts(trace, times=times), Page(console, least=50)
    print_header(facts, page)
    print_rows(facts["rows"], page)


def print_rows(rows: list[Facts], page: Page) -> None:
    """Print what a run went through; a table from 120 columns on."""
    page.line()
    if page.width >= WIDE:
        _print_wide(rows, page)
    else:
        _print_narrow(rows, page)


def print_header(facts: Facts, page: Page) -> None:
    """Print what `header_facts` gave."""
    print_title(facts, page)
    page.pairs(_header_pairs(facts))


def print_title(facts: Facts, page: Page) -> None:
    """Print which trace it is, and whether it is whole."""
    state = plain(facts["state"], LABEL if facts["complete"] else FAILED)
    page.paragraph(join((facts["path"], HEAD), "  ", state))


def recorded_pair(facts: Facts) -> tuple[str, Text]:
    """How much was recorded, and when."""
    level = f"level {facts['level']}"
    if facts["tokens_only_from"] is not None:
        level += f", tokens only from call {facts['tokens_only_from']} on: its byte budget was reached"
    if facts["hooks"] is not None:
        hooks = facts["hooks"]
        level += f", hooks {hooks if isinstance(hooks, str) else ', '.join(hooks)}"
    return "recorded", plain(level + (f", began {facts['started']}" if facts["started"] else ""))


def _header_pairs(facts: Facts) -> list[tuple[str, Text]]:
    run, calls = facts["run"], facts["calls"]
    pairs = [recorded_pair(facts)]
    if run is not None:
        pairs.append(("model", plain(f"{run['device']}, {run['dtype']}")))
        pairs.append(("sampling", plain(f"seed {run['seed']}, {_sampling_text(run)}")))
    ended = f"; stopped by {facts['stop_reason']}" if facts["stop_reason"] else ""
    split = f" = {calls['warmup']} of warm-up + {calls['main']} of the main loop" if calls["all"] else ""
    pairs.append(("calls", plain(f"{calls['all']}{split}{ended}")))
    if run is not None:
        if run["prefix_frames"]:
            prefix = f"{counted(run['prefix_words'], 'word')}, {counted(run['prefix_frames'], 'frame')}"
            pairs.append(("prefix", plain(prefix)))
        words = f"{run['words']}: {run['words_taken']} taken by the machine"
        if run["words_heard"] is not None:
            words += f", {run['words_heard']} heard in the audio"
        pairs.append(("words", plain(words)))
    seconds = facts["audio_seconds"]
    pairs.append(("audio", plain("none" if seconds is None else f"{seconds:.2f} s")))
    if run is not None and run["forked_at"] is not None:
        pairs.append(("fork", plain(f"repeats another run up to call {run['forked_at']}")))
    if run is not None and run["edits"]:
        pairs.append(("edits", plain("; ".join(run["edits"]))))
    if facts["redacted"]:
        pairs.append(("redacted", plain(", ".join(facts["redacted"]))))
    return pairs


def _sampling_text(run: Facts) -> str:
    cfg = "no guidance" if run["cfg_scale"] == 1.0 else f"cfg {run['cfg_scale']:g} keeping {run['cfg_filter_k']}"
    kinds = (f"{name} {run[name]['temperature']:g}/{run[name]['top_k']}" for name in ("text", "audio"))
    return f"{cfg}, {', '.join(kinds)} (temperature/top-k)"


def _missing(row: Facts) -> str:
    """What a row that was not done says instead."""
    status = row["status"].upper() if row["status"] != "not run" else row["status"]
    return f"{status}: {row['note']}" if row["note"] else status


def _style(row: Facts) -> str:
    return {"done": "", "not run": DIM}.get(row["status"], FAILED)


def _print_narrow(rows: list[Facts], page: Page) -> None:
    for row in rows:
        style = _style(row)
        head = join((f"{_SIGNS[row['status']]} {row['number']:>2}  ", style or LABEL), (row["title"], style or HEAD))
        if row["status"] == "not run":
            page.row([head, plain("not run", DIM)], [Column(page.width - 12), Column(10, "right")])
            page.row([plain(row["note"], DIM)], [Column(page.width - 8)], indent=6)
            continue
        time = duration(row["seconds"])
        page.row([head, plain(time)], [Column(page.width - 12), Column(10, "right")])
        page.row([plain(row["where"], DIM)], [Column(page.width - 8)], indent=6)
        pairs = [(name, plain(row[name])) for name in _CELLS if row[name] not in ("", "none")]
        if row["status"] != "done":
            pairs.append((row["status"].upper(), plain(row["note"], FAILED)))
        if pairs:
            label = max(len("mutations"), *(len(name) for name, _ in pairs))
            columns = [Column(label), Column(page.width - label - 8)]
            for name, text in pairs:
                page.row([plain(name, LABEL), text], columns, indent=6)


def _print_wide(rows: list[Facts], page: Page) -> None:
    room = page.width - 5 - 29 - 9 - 6 * 2
    shares = [room * 22 // 100, room * 20 // 100, room * 29 // 100]
    widths = [*shares, room - sum(shares)]
    columns = [Column(5), Column(29), *map(Column, widths), Column(9, "right")]
    heads = ("    #", "phase, file → function", "trigger", "state before", "mutations", "outputs", "wall time")
    page.row([plain(name, HEAD) for name in heads], columns)
    page.line(("─" * page.width, DIM))
    tall = False
    for row in rows:
        style = _style(row)
        sign = plain(f"{_SIGNS[row['status']]}  {row['number']:>2}", style or LABEL)
        if row["status"] == "not run":
            if tall:
                page.line()
            told = plain(f"{_missing(row)}  ({row['where']})", DIM)
            page.row([sign, plain(row["title"], DIM), told], [*columns[:2], Column(page.width - 38)])
            tall = False
            continue
        if row["number"] > 1:
            page.line()
        file, function = row["where"].split(" → ")
        what = Text("\n").join([plain(row["title"], style or HEAD), plain(file, DIM), plain(f"→ {function}", DIM)])
        cells = [plain(row[name], DIM if row[name] == "none" else "") for name in _CELLS]
        page.row([sign, what, *cells, plain(duration(row["seconds"]))], columns)
        if row["status"] != "done":
            page.row([plain(""), plain(_missing(row), FAILED)], [Column(5), Column(page.width - 7)])
        tall = True
