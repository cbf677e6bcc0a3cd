"""`dia2 trace show` of Dia: what a run was, its scripts, and the thirteen rows it went through."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from dia.adapter.trace import DiaTrace
from dia2.common.wording import counted
from dia2.inspect.views.console.page import DIM, HEAD, LABEL, Column, Facts, Page, plain
from dia2.inspect.views.console.rows import print_rows, print_title, recorded_pair, row_facts, state_facts

_REASONS = {"eos": "EOS drawn", "max_tokens": "end forced by max_tokens", "interrupted": "interrupted by Ctrl-C"}


def show_facts(trace: DiaTrace, *, times: bool = True) -> Facts:
    """The header, the scripts and the thirteen rows.

    Args:
        trace: any trace, partial ones too.
        times: with wall times and the date, which differ between two runs that are the same otherwise.
    """
    run = trace.manifest.run
    prefill = trace.prefill_calls
    facts: Facts = {
        "path": str(trace.path),
        "family": "dia",
        **state_facts(trace, times),
        "calls": {"prefill": prefill, "loop": len(trace) - prefill, "all": len(trace)},
        "run": None,
        "scripts": [],
    }
    if run is not None:
        facts["run"] = {
            "seed": run.seed,
            "device": run.model.device,
            "dtype": run.model.dtype,
            **{name: value for name, value in asdict(run.config).items() if name != "seed"},
            "rows": run.rows,
            "text_positions": run.text_length,
            "channels": run.model.channels,
            "delays": run.model.delays,
        }
        facts["scripts"] = [_script_facts(trace, script) for script in range(run.batch)]
    return facts | {"rows": [row_facts(row, times) for row in trace.rows()]}


def _script_facts(trace: DiaTrace, script: int) -> Facts:
    run, result = trace.run, trace.result
    rate = run.model.sample_rate
    samples = result.samples[script] if result.samples is not None and script < len(result.samples) else None
    return {
        "script": script + 1,
        "text": run.scripts[script],
        "bytes": len(run.text_bytes[script]),
        "prompt_frames": run.prefill_steps[script] - 1,
        "frames": None if result.lengths is None else result.lengths[script],
        "ended_at": None if result.ended_at is None else result.ended_at[script],
        "stop_reason": None if result.stop_reasons is None else result.stop_reasons[script],
        "audio_seconds": None if samples is None or rate is None else samples / rate,
    }


def print_show(trace: DiaTrace, console: Console, *, times: bool = True) -> None:
    """Print header, scripts and rows; the rows are a table from 120 columns on."""
    facts, page = show_facts(trace, times=times), Page(console, least=50)
    print_title(facts, page)
    page.pairs(_header_pairs(facts))
    _scripts(facts["scripts"], page)
    print_rows(facts["rows"], page)


def _header_pairs(facts: Facts) -> list[tuple[str, Text]]:
    run, calls = facts["run"], facts["calls"]
    pairs = [recorded_pair(facts)]
    if run is not None:
        delays = ", ".join(map(str, run["delays"]))
        pairs.append(("model", plain(f"Dia, {run['device']}, {run['dtype']}; channels delayed by {delays}")))
        pairs.append(("sampling", plain(_sampling_text(run))))
    split = f" = {calls['prefill']} of prefill + {calls['loop']} of the loop" if calls["all"] else ""
    allowed = f"; {counted(run['rows'], 'row')} allowed" if run is not None else ""
    pairs.append(("calls", plain(f"{calls['all']}{split}{allowed}")))
    return pairs


def _sampling_text(run: Facts) -> str:
    scale = run["cfg_scale"]
    cfg = "no guidance" if scale == 0 else f"cfg {scale:g}"
    drawn = "argmax" if run["temperature"] == 0 else f"temperature {run['temperature']:g}, top-p {run['top_p']:g}"
    return f"seed {run['seed']}, {cfg} keeping {run['cfg_filter_top_k']}, {drawn}"


def _scripts(scripts: list[Facts], page: Page) -> None:
    if not scripts:
        return
    page.title("script" if len(scripts) == 1 else counted(len(scripts), "script"))
    digits = len(str(len(scripts)))
    columns = [Column(digits, "right"), Column(page.width - digits - 4)]
    for part in scripts:
        page.row([plain(part["script"], LABEL), plain(part["text"], HEAD)], columns, indent=2)
        page.row([plain(""), plain(_ended(part), DIM)], columns, indent=2)


def _ended(part: Facts) -> str:
    said = [counted(part["bytes"], "byte")]
    if part["prompt_frames"]:
        said.append(f"a prompt of {counted(part['prompt_frames'], 'frame')}")
    if part["frames"] is not None:
        said.append(counted(part["frames"], "frame"))
    if part["audio_seconds"] is not None:
        said.append(f"{part['audio_seconds']:.2f} s")
    if part["stop_reason"] is not None:
        row = "" if part["ended_at"] is None else f" at row {part['ended_at']}"
        said.append(f"{_REASONS[part['stop_reason']]}{row}")
    return " · ".join(said)
