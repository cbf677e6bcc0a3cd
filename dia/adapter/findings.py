"""What can be wrong with a run of Dia; see `dia2.inspect.trace.findings`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.drawing import KINDS, Drawing, Usual, drawn_badly
from dia2.inspect.trace.findings import SCRIPT_CUT, Case, Detector
from dia2.inspect.trace.levels import SILENCE, Levels, measure, pauses, rms_of
from dia2.inspect.trace.loops import LOOP, loops

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

_DRAW = "give temperature=1.2 and cfg_filter_top_k=45"
USUAL = Usual(temperature=1.2, guide="give cfg_scale=3", draw=_DRAW, cool="give temperature=1.2")


def _cut_off(case: Case) -> Iterator[Finding]:
    """A script whose end was forced before the model drew it."""
    trace = cast("DiaTrace", case.trace)
    reasons = trace.manifest.result.stop_reasons
    if reasons is not None and reasons[case.script] == "max_tokens":
        whose = f"Script {case.script + 1}" if trace.scripts > 1 else "The script"
        limit = trace.run.config.max_tokens
        steps = "the most that there may be" if limit is None else f"max_tokens = {limit:,}"
        yield SCRIPT_CUT.found(f"{whose} reached {steps} before the model drew its end.", len(trace) - 1)


def _settings(case: Case) -> Iterator[Finding]:
    """All calls of the loop draw alike."""
    trace = cast("DiaTrace", case.trace)
    config, first, last = trace.run.config, trace.prefill_calls, len(trace) - 1
    if first <= last:
        best = config.cfg_filter_top_k
        said = f"temperature {config.temperature:g}, best {best}"
        guided = f"cfg {config.cfg_scale:g}"
        drawing = Drawing(first, last, guided, config.cfg_scale != 0, config.temperature, best, said)
        yield from drawn_badly([drawing], USUAL)


def sounding_frames(trace: DiaTrace, script: int, codes: np.ndarray, levels: Levels) -> np.ndarray:
    """[n] bool: which of a script's first frames sound; of a run that was cut short, or damaged, fewer than sound.

    Args:
        trace: whose.
        script: which, from 0.
        codes: [T, C] its own.
        levels: of its audio.
    """
    first = trace.run.prefill_steps[script] - 1
    return levels.sounding[: max(0, min(len(codes), len(trace) - first))]


def _sound(case: Case) -> Iterator[Finding]:
    """Codes that repeat while they sound, and pauses; the call that writes a frame is the one at which it is heard."""
    trace, script = cast("DiaTrace", case.trace), case.script
    heard, rate = trace.audio(script), trace.model.frame_rate
    if heard is None or rate is None:
        return
    rms = rms_of(*heard, rate)
    if not rms.any():
        return
    levels, first = measure(rms), trace.run.prefill_steps[script] - 1
    codes = trace.codes(script)
    counts = sounding_frames(trace, script, codes, levels)
    yield from loops(codes[: len(counts)], counts, first, rate, fix=f"take another seed; {_DRAW}")
    for begin, end in pauses(levels, rate, last=True):
        text = f"Nothing sounds for {(end - begin) / rate:.1f} s."
        calls = (min(first + frame, len(trace) - 1) for frame in (begin, end - 1))
        yield SILENCE.found(text, *calls, fix="take another seed, or a lower temperature")


DETECTORS = (
    Detector((SCRIPT_CUT,), _cut_off),
    Detector(KINDS, _settings),
    Detector((LOOP, SILENCE), _sound),
)
