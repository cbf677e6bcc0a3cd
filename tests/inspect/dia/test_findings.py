"""Findings of runs of Dia: settings by its own usual ones, codes that repeat while they sound, and pauses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dia2.inspect import load
from dia2.inspect.trace.findings import Case, findings

from ...support.dia import toy

SETTINGS = ("guidance-off", "sampling-narrow", "sampling-wide")


def run(folder: Path, **changes: Any) -> Any:
    """One script of the toy, 40 rows."""
    path = folder / "run.dia2trace"
    toy().speak("[S1] Hello. [S2] You?", trace=path, **{"max_tokens": 40, "seed": 3} | changes)
    return load(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"cfg_scale": 1.0, "temperature": 0.3, "cfg_filter_top_k": 4}, []),
        ({"cfg_scale": 0.0}, ["guidance-off"]),
        ({"temperature": 0.2}, ["sampling-narrow"]),
        ({"cfg_filter_top_k": 3}, ["sampling-narrow"]),
        ({"temperature": 2.24}, []),
        ({"temperature": 2.25}, ["sampling-wide"]),
    ],
)
def test_settings(changes: dict[str, Any], told: list[str], tmp_path: Path) -> None:
    trace = run(tmp_path, **changes)
    found = [one for one in trace.findings() if one.kind in SETTINGS]
    assert [one.kind for one in found] == told
    assert all((one.call, one.until) == (trace.prefill_calls, len(trace) - 1) for one in found)
    assert all("cfg_scale=3" in one.fix or "temperature=1.2" in one.fix for one in found)


def sounding(trace: Any, *silent: tuple[int, int]) -> Any:
    """The trace with another sound: a tone, but for stretches of frames."""
    samples, rate = trace.audio(0)
    frame = rate / trace.model.frame_rate
    other = 0.3 * np.sin(np.arange(len(samples)))
    for first, end in silent:
        other[round(first * frame) : round(end * frame)] = 0
    soundfile.write(trace.path / trace.manifest.audio[0], other, rate)
    return load(trace.path)


def test_a_pause_is_told_at_the_calls_that_write_it(tmp_path: Path) -> None:
    trace = run(tmp_path, max_tokens=220)
    rate, length = trace.model.frame_rate, len(trace.codes(0))
    long = int(np.ceil(rate)) + 1
    assert length > long + 10, "there is room for a pause"
    found = [one for one in sounding(trace, (5, 5 + long)).findings() if one.kind == "silence-long"]
    first = trace.run.prefill_steps[0] - 1
    assert [(one.call, one.until) for one in found] == [(first + 5, first + 5 + long - 1)]
    assert "<break" not in found[0].fix, "of which Dia knows none"


def test_codes_that_repeat_are_told_only_where_they_sound(tmp_path: Path) -> None:
    """Drawn at a temperature of 0, the toy repeats itself or not: its codes are replaced by a loop."""
    trace = run(tmp_path, max_tokens=180)
    codes = np.random.default_rng(0).integers(0, 60, trace.codes(0).shape).astype(np.int32)
    assert len(codes) > 110
    codes[10:100] = codes[10]
    trace.codes = lambda script=0: codes
    sounds = sounding(trace)
    sounds.codes = trace.codes
    found = [one for one in findings(Case(sounds)) if one.kind == "loop"]
    first = trace.run.prefill_steps[0] - 1
    assert [(one.call, one.until) for one in found] == [(first + 10, first + 99)]
    hushed = sounding(trace, (9, 101))
    hushed.codes = trace.codes
    assert [one for one in findings(Case(hushed)) if one.kind == "loop"] == []
