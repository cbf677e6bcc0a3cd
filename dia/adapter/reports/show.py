"""`dia2 trace show` of Dia: what a run was, its scripts, and the thirteen rows that it went through."""

from __future__ import annotations

from dataclasses import asdict

from dia.adapter.trace import DiaTrace
from dia2.common.wording import counted
from dia2.inspect.schema.report import Block, Cell, Column, Facts, Report, Table, Title, picked
from dia2.inspect.trace.header import row_facts, show_blocks, state_facts

_REASONS = {"eos": "EOS drawn", "max_tokens": "end forced by max_tokens", "interrupted": "interrupted by Ctrl-C"}


def report(trace: DiaTrace, times: bool) -> Report:
    """Header, scripts and rows of any trace, partial ones too."""
    run, prefill = trace.manifest.run, trace.prefill_calls
    facts: Facts = {
        "path": str(trace.path),
        "family": "dia",
        **state_facts(trace, times),
        "calls": {"prefill": prefill, "loop": len(trace) - prefill, "all": len(trace)},
        "run": None if run is None else _run_facts(trace),
        "scripts": [] if run is None else [_script_facts(trace, script) for script in range(run.batch)],
        "rows": [row_facts(row, times) for row in trace.rows()],
    }
    return Report(facts, show_blocks(facts, _pairs(facts), _scripts(facts["scripts"])))


def _run_facts(trace: DiaTrace) -> Facts:
    run = trace.run
    return {
        "seed": run.seed,
        **picked(run.model, "device", "dtype"),
        **{name: value for name, value in asdict(run.config).items() if name != "seed"},
        "rows": run.rows,
        "text_positions": run.text_length,
        **picked(run.model, "channels", "delays"),
    }


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


def _pairs(facts: Facts) -> dict[str, str | None]:
    run, calls = facts["run"], facts["calls"]
    split = f" = {calls['prefill']} of prefill + {calls['loop']} of the loop" if calls["all"] else ""
    if run is None:
        return {"calls": f"{calls['all']}{split}"}
    cfg = "no guidance" if run["cfg_scale"] == 0 else f"cfg {run['cfg_scale']:g}"
    drawn = "argmax" if run["temperature"] == 0 else f"temperature {run['temperature']:g}, top-p {run['top_p']:g}"
    delays = ", ".join(map(str, run["delays"]))
    return {
        "model": f"Dia, {run['device']}, {run['dtype']}; channels delayed by {delays}",
        "sampling": f"seed {run['seed']}, {cfg} keeping {run['cfg_filter_top_k']}, {drawn}",
        "calls": f"{calls['all']}{split}; {counted(run['rows'], 'row')} allowed",
    }


def _scripts(scripts: list[Facts]) -> list[Block]:
    if not scripts:
        return []
    rows: list[list[Cell]] = []
    for part in scripts:
        rows += [[(part["script"], "label"), (part["text"], "head")], ["", (_ended(part), "dim")]]
    columns = [Column("", len(str(len(scripts))), "right"), Column()]
    return [Title("script" if len(scripts) == 1 else counted(len(scripts), "script")), Table(columns, rows, indent=2)]


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
