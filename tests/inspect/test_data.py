"""What a trace's folder holds, whichever family ran: its state in words, calls, scripts, columns and draws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import EVERY_CALL, MAIN_CALL, ONCE, HookPoint
from dia2.inspect.schema import adapter as families
from dia2.inspect.store import phases
from dia2.inspect.trace.load import load

from .test_console_declared import ADAPTER, recorded

Made = Callable[..., Any]


@pytest.fixture
def hum(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    """A trace of two given and three drawn calls, in a shard each."""
    monkeypatch.setattr(families, "installed", lambda: {"hum": ADAPTER})
    monkeypatch.setattr(phases, "PHASES", {"hum.loop", "hum.rest"})
    return lambda **manifest: load(recorded(tmp_path / "hum.dia2trace", **manifest))


@pytest.mark.parametrize(("manifest", "state"), [
    ({}, "complete"),
    ({"status": "running"}, "partial: the run was killed, or still runs"),
    ({"status": "failed", "error": "out of breath"}, "partial: out of breath"),
    ({"status": "interrupted"}, "partial: interrupted"),
    ({"calls": 9}, "partial: 5 of 9 calls are here"),
])  # fmt: skip
def test_its_state_in_words(manifest: dict[str, Any], state: str, hum: Made) -> None:
    trace = hum(**manifest)
    assert (trace.state, trace.complete) == (state, state == "complete")
    assert repr(trace) == f"<HumTrace {trace.path}: 5 calls, {state}>"


def test_one_call_of_several_is_here(hum: Made) -> None:
    trace = hum()
    trace._columns = {name: values[:1] for name, values in trace._columns.items()}
    assert trace.state == "partial: 1 of 5 calls is here"
    assert len(trace) == 1


def test_a_run_that_never_began_has_no_calls_and_the_most_codebooks(hum: Made) -> None:
    trace = hum(calls=0)
    assert (trace.begun, len(trace), trace.given_calls) == (False, 0, 0)
    assert (trace.codebooks, trace.scripts) == (64, 1)
    asked: list[Callable[[], object]] = [lambda: trace.column("heat"), lambda: trace.run]
    for ask in asked:
        with pytest.raises(TraceError, match=r"holds no calls: the run ended before its first \(partial: out of"):
            ask()


def test_sizes_are_those_of_the_run(hum: Made) -> None:
    trace = hum()
    assert (trace.codebooks, trace.scripts, trace.given_calls, trace.family) == (3, 2, 2, "hum")


def test_calls_and_scripts_that_are_there_are_plain_numbers(hum: Made) -> None:
    trace = hum()
    assert [trace.check_call(call) for call in (0, 4, np.int64(3))] == [0, 4, 3]
    for call in (-1, 5):
        with pytest.raises(TraceError, match=rf"^There is no call {call}: .* has calls 0 … 4\.$"):
            trace.check_call(call)
    assert [trace.check_script(script) for script in (0, np.int8(1))] == [0, 1]
    for script in (-1, 2):
        with pytest.raises(TraceError, match=rf"^There is no script {script}: .* has scripts 0 … 1\.$"):
            trace.check_script(script)
    for check in (trace.check_call, trace.check_script):
        with pytest.raises(UsageError, match=r"is a whole number from 0, not 1\.0"):
            check(1.0)


def test_of_one_script_it_is_said_that_it_is_one(hum: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = hum()
    monkeypatch.setattr(trace, "_sizes", lambda: {"voices": 1, "K": 3})
    with pytest.raises(TraceError, match=r"^There is no script 1: .* has one script\.$"):
        trace.check_script(1)


def test_a_column_that_is_not_there_is_told_with_those_that_are(hum: Made) -> None:
    trace = hum()
    with pytest.raises(
        TraceError, match=r"^A trace has no column 'cold'; it has call, clock, heard, heat, left, phase"
    ):
        trace.column("cold")
    trace._columns = {}
    with pytest.raises(TraceError, match=r"^A trace has no column 'cold'; it has none\.$"):
        trace.column("cold")


def test_a_row_is_found_in_its_shard(hum: Made) -> None:
    trace = hum()
    assert [int(trace._row(call)["heat"]) for call in range(5)] == [36, 36, 37, 38, 38]
    assert ["draw.ids" in trace._row(call) for call in range(5)] == [False, False, True, True, True]


def test_draws_are_those_of_the_script(hum: Made) -> None:
    trace = hum()
    for script in (0, 1):
        draws = trace.draws(3, script)
        assert [draw.name for draw in draws] == ["book.0", "book.1", "book.2"]
        assert [draw.choice for draw in draws] == trace.column("sung")[3, script].tolist()
        assert [draw.candidates[0].token for draw in draws] == [draw.choice for draw in draws]
    assert trace.draws(3) == trace.draws(3, 0)
    assert trace.draws(1) == []
    trace.manifest.draws.clear()
    assert trace.draws(3) == []


def test_parts_of_draws_are_those_of_the_script_and_what_else_is_asked_for(hum: Made) -> None:
    trace = hum()
    for script in (0, 1):
        (given, none), (drawn, taken) = trace.draw_parts(script, ["heat", "logits"])
        assert set(given) == {"heat"}
        assert none.shape == (2, 3)
        assert set(drawn) == {"draw.ids", "draw.cond", "draw.guided", "draw.kept", "draw.probability", "heat"}
        assert drawn["draw.ids"].shape == (3, 3, 16)
        assert drawn["draw.ids"][:, :, 0].tolist() == taken.tolist() == trace.column("sung")[2:, script].tolist()
    assert set(next(iter(trace.draw_parts(0)))[0]) == set()


def test_a_copy_reads_its_shards_anew(hum: Made) -> None:
    trace = hum()
    before = trace.draws(3)
    other = copy.copy(trace)
    assert "_shard" in vars(trace)
    assert "_shard" not in vars(other)
    assert other.draws(3) == before


def test_it_is_not_written_over_whatever_leads_there(hum: Made, tmp_path: Path) -> None:
    trace = hum()
    (tmp_path / "link").symlink_to(trace.path)
    trace.refuse_itself(tmp_path / "other", "a copy")
    for path in (trace.path, tmp_path / "link"):
        with pytest.raises(UsageError, match=r"is the trace itself: a copy needs a name of its own\.$"):
            trace.refuse_itself(path, "a copy")


def point(name: str, when: str = EVERY_CALL, of: Any = "value") -> HookPoint:
    return HookPoint(name, of, when, "")


@pytest.mark.parametrize(("asked", "whole", "given", "never"), [
    (point("heat"), True, True, False),
    (point("sung", MAIN_CALL), True, False, False),
    (point("plan", ONCE), True, True, False),
    (point("hum.loop", of="phase"), True, True, True),
    (point("hum.rest", of="phase"), False, False, False),
    (point("draw.book.{c}", MAIN_CALL), True, False, False),
    (point("draw.book.1", MAIN_CALL), True, False, False),
    (point("draw.book.3", MAIN_CALL), False, False, False),
    (point("logits.book.{c}", MAIN_CALL), False, False, False),
])  # fmt: skip
def test_what_was_recorded(asked: HookPoint, whole: bool, given: bool, never: bool, hum: Made, tmp_path: Path) -> None:
    trace = hum()
    assert trace.recorded(asked) is whole
    trace._columns = {name: values[:2] for name, values in trace._columns.items()}
    assert trace.recorded(asked) is given, "of a run that was stopped before it drew"
    assert load(recorded(tmp_path / "never.dia2trace", calls=0)).recorded(asked) is never


def test_without_an_audio_file_there_is_no_sound(hum: Made) -> None:
    trace = hum()
    assert trace.sound(1) is None
    assert trace.given_samples(1) == 0
    assert trace.recordings == []
    for ask in (trace.sound, trace.given_samples):
        with pytest.raises(TraceError, match="There is no script 2"):
            ask(2)
