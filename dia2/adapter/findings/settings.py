"""How the calls of a run of Dia2 draw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.drawing import KINDS, Drawing, Usual, drawn_badly
from dia2.inspect.trace.findings import Case, Detector
from dia2.runtime.edits import ChangeSampling

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

USUAL = Usual(
    temperature=0.8,
    guide="give cfg_scale=2",
    draw="give temp_audio=0.8 and topk_audio=50",
    cool="give temp_audio=0.8",
)


def _drawings(trace: Dia2Trace) -> Iterator[Drawing]:
    """Of the main loop, from one change of settings to the next."""
    first, end = trace.warmup_calls, len(trace)
    edits = {edit.call for edit in trace.run.edits if isinstance(edit, ChangeSampling) and first < edit.call < end}
    for begin, after in pairwise([first, *sorted(edits), end]):
        config = trace.config_at(begin)
        cfg, audio = config.cfg_scale, config.audio
        said = f"temperature {audio.temperature:g}, top-k {audio.top_k}"
        yield Drawing(begin, after - 1, f"cfg {cfg:g}", cfg != 1, audio.temperature, max(0, audio.top_k), said)


def _look(case: Case) -> Iterator[Finding]:
    trace = cast("Dia2Trace", case.trace)
    if trace.warmup_calls < len(trace):
        yield from drawn_badly(list(_drawings(trace)), USUAL)


DETECTORS = (Detector(KINDS, _look),)
