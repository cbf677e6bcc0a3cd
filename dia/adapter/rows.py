"""The thirteen rows: what a run of Dia goes through, from the checkpoint to the file.

What happens inside the loop is no phase of its own; rows 8 to 10 are filled from the columns of the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dia2.common.wording import counted
from dia2.inspect.schema.row import FilledRow, Row, filled
from dia2.inspect.schema.saying import steps_text

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

ROWS = (
    Row(1, "Load checkpoint", "dia.model:Dia._load", "dia.load"),
    Row(2, "Encode text", "dia.text:encode_text", "dia.text"),
    Row(3, "Encoder", "dia.loop:encode", "dia.encoder"),
    Row(4, "Cross-attention cache", "dia.loop:fill_cross_cache", "dia.cross"),
    Row(5, "Audio prompt", "dia.model:Dia.prompt_codes", "dia.prompt"),
    Row(6, "Delay", "dia.audio:apply_audio_delay", "dia.delay"),
    Row(7, "Prefill", "dia.loop:prefill", "dia.prefill"),
    Row(8, "Decoder step", "dia.loop:decode_step", "dia.loop"),
    Row(9, "Guidance and filters", "dia.sampling:choose", "dia.loop"),
    Row(10, "EOS countdown", "dia.loop:count_down", "dia.loop"),
    Row(11, "Revert delay", "dia.audio:revert_audio_delay", "dia.undelay"),
    Row(12, "DAC decode", "dia.codec:decode_audio", "dia.decode"),
    Row(13, "Write", "dia.model:save_audio", "dia.write"),
)
_NOTHING_GIVEN = "no prompt was given"


def fill_row(row: Row, trace: DiaTrace) -> FilledRow:
    """A row of a trace."""
    run = trace.manifest.run
    runs = [each for each in trace.phases if each.name == row.phase]
    if row.number in _IN_THE_LOOP:
        if len(trace) > trace.prefill_calls:
            return _IN_THE_LOOP[row.number](row, trace)
        return filled(row, runs, lambda: _ends_before(trace))
    if run is not None and row.phase == "dia.prompt" and max(run.prefill_steps) == 1:
        return FilledRow(row, "not run", note=_NOTHING_GIVEN)
    if run is not None and row.phase == "dia.prefill" and min(run.prefill_steps) == 1:
        what = "a script has no prompt" if max(run.prefill_steps) > 1 else _NOTHING_GIVEN
        return FilledRow(row, "not run", note=f"nothing to prefill: {what}, so the loop begins with row 0")
    found = filled(row, runs, lambda: _why_not(row, trace))
    triggers = dict.fromkeys(each.trigger for each in runs)  # of several scripts
    return replace(found, trigger="; ".join(triggers))


def _why_not(row: Row, trace: DiaTrace) -> str:
    """Why a row was not run, in words."""
    run = trace.manifest.run
    if row.phase == "dia.load" and trace.manifest.hooks is None:
        return "the checkpoint was loaded before the recording began"
    if row.phase == "dia.decode" and run is not None and run.model.sample_rate is None:
        return "codes only: the checkpoint was loaded without its codec"
    if trace.manifest.hooks is not None and (len(trace) or row.phase == "dia.load"):
        return "not recorded: the hook filter leaves it out"
    if row.phase == "dia.write" and trace.complete:
        if trace.result.samples and not any(trace.result.samples):
            return "there was no sound to write"
        return "called from Python: no output file was named"
    return "it was over before the recording began" if trace.complete else _ends_before(trace)


def _ends_before(trace: DiaTrace) -> str:
    return f"the trace ends before it ({trace.state})"


# Rows that are filled from the columns, where there is a step to fill them from


def _step(row: Row, trace: DiaTrace) -> FilledRow:
    first, last = trace.prefill_calls, len(trace) - 1
    made = FilledRow(
        row,
        "done",
        trigger=f"rows {first} … {last}, one after the other",
        before=f"self-attention KV of {counted(first, 'slot')}, "
        f"cross-attention KV of {counted(trace.run.text_length, 'position')}",
        mutations=f"rows {first + 1} … {last + 1} written, self-attention KV {first} → {counted(last + 1, 'slot')}",
        outputs=f"{counted(last + 1 - first, 'step')}; logits {_shape(trace)} each",
        seconds=float(np.nansum(trace.seconds)),
    )
    error = next((run.error for run in trace.phases if run.name == row.phase and run.error is not None), None)
    if error is not None:
        return replace(made, status="failed", note=error)
    if trace.result.steps is None:
        return replace(made, status="not finished", note="the trace ends before it does")
    return made


def _shape(trace: DiaTrace) -> str:
    return f"[{2 * trace.run.batch}, {trace.model.channels}, {trace.model.vocabulary}]"


def _choose(row: Row, trace: DiaTrace) -> FilledRow:
    config, model = trace.run.config, trace.model
    drawn, written = trace.drawn[trace.prefill_calls :], trace.written[trace.prefill_calls :]
    others = int((drawn != written).sum())
    how = (
        "argmax"
        if config.temperature == 0
        else f"temperature {config.temperature:g}, top-k {config.cfg_filter_top_k}, top-p {config.top_p:g}"
    )
    return FilledRow(
        row,
        "done",
        trigger=f"logits {_shape(trace)}, unconditional and conditional; uniforms of seed {trace.run.seed}",
        before=f"{model.vocabulary:,} candidates a channel",
        mutations=(
            f"cond + {config.cfg_scale:g} · (cond − uncond) keeps {min(config.cfg_filter_top_k, model.vocabulary)}; "
            f"ids above {model.eos} are forbidden, and {model.eos} itself but in channel 0; {how}"
        ),
        outputs=f"{counted(drawn.size, 'draw')}, {others:,} of them overruled by a prompt or a countdown",
    )


def _count_down(row: Row, trace: DiaTrace) -> FilledRow:
    model, said, forced = trace.model, [], 0
    for script in range(trace.run.batch):
        end = trace.ended_at(script)
        if end is None:
            continue
        drew = int(trace.drawn[end - 1, script, 0]) == model.eos and end >= trace.run.prefill_steps[script]
        how = "eos drawn in channel 0" if drew else f"forced, {counted(model.max_delay, 'row')} before the last"
        said.append(f"script {script + 1} at row {end} ({how})" if trace.run.batch > 1 else f"row {end} ({how})")
        last = slice(end - 1, end - 1 + model.max_delay)
        forced += int((trace.drawn[last, script] != trace.written[last, script]).sum())
    if not said:
        return FilledRow(row, "not run", note="no script came to its end")
    return FilledRow(
        row,
        "done",
        trigger="; ".join(said),
        before="no countdown",
        mutations=f"{counted(forced, 'cell')} given eos when as many steps have passed as the channel's delay, "
        "then PAD",
        outputs=f"countdowns after the last step: {steps_text(trace.countdown[-1].tolist())} of {model.max_delay}",
    )


_IN_THE_LOOP: dict[int, Callable[[Row, DiaTrace], FilledRow]] = {8: _step, 9: _choose, 10: _count_down}
