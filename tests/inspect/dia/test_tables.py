"""Dia's traces as Parquet: every value of both tables is that of the trace."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from dia.adapter.trace import DiaTrace
from dia2.inspect import Trace, load, record

from ...support.dia import dia5
from ...support.traces import recorded_dia


@pytest.fixture(scope="module")
def trace() -> DiaTrace:
    found = DiaTrace.load(recorded_dia())
    assert isinstance(found, DiaTrace)
    return found


def tables(trace: Trace[Any], folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    calls, draws = trace.to_parquet(folder)
    assert (calls.name, draws.name) == ("calls.parquet", "draws.parquet")
    return parquet.read_table(calls).to_pylist(), parquet.read_table(draws).to_pylist()


def test_calls_and_draws_are_those_of_the_trace(trace: DiaTrace, tmp_path: Path) -> None:
    calls, draws = tables(trace, tmp_path / "tables")
    batch, rate = trace.run.batch, trace.model.frame_rate or 0.0
    assert len(calls) == len(trace) * batch
    for index, row in enumerate(calls):
        call, script = divmod(index, batch)
        assert (row["call"], row["script"]) == (call, script)
        loop = call >= trace.prefill_calls
        assert row["phase"] == ("loop" if loop else "prefill")
        assert row["tokens"] == trace.tokens[call, script].tolist()
        assert row["drawn"] == (trace.drawn[call, script].tolist() if loop else None)
        assert row["written"] == (trace.written[call, script].tolist() if loop else None)
        left = int(trace.countdown[call, script])
        assert row["countdown"] == (None if left < 0 else left)
        assert [row["kv_self"], row["kv_cross"]] == trace.kv_lengths[call].tolist()
        assert (row["time_step"] is None) != loop
        frame = row["frame"]
        if frame is not None:
            assert row["audio_seconds"] == pytest.approx(frame / rate)
            code = int(trace.written[call, script, 0])
            assert trace.codes(script)[frame, 0] == (code if code < trace.model.eos else 0)
    for script in range(batch):
        frames = [row["frame"] for row in calls if row["script"] == script and row["frame"] is not None]
        assert frames == list(range(len(trace.codes(script))))
    at = 0
    for call in range(trace.prefill_calls, len(trace)):
        for script in range(batch):
            for draw in trace.draws(call, script):
                row, at = draws[at], at + 1
                assert (row["call"], row["script"], row["draw"]) == (call, script, draw.name)
                assert row["choice"] == draw.choice
                assert row["probability"] == pytest.approx(draw.probability)
                assert row["candidates"] == [candidate.token for candidate in draw.candidates]
                assert row["kept"] == [candidate.kept for candidate in draw.candidates]
                assert row["cond"] == [candidate.cond for candidate in draw.candidates]
                instead = int(trace.written[call, script, row["channel"]])
                assert row["written"] == (None if instead == draw.choice else instead)
    assert at == len(draws)


def test_without_codec_or_draws(tmp_path: Path) -> None:

    with record(tmp_path / "run", level="tokens"):
        dia5().speak("[S1] Hi.", max_tokens=20, seed=1)
    calls, draws = tables(DiaTrace.load(tmp_path / "run"), tmp_path / "tables")
    assert not draws
    assert all(row["audio_seconds"] is None for row in calls)
    assert any(row["frame"] is not None for row in calls)
    assert not any(isinstance(value, float) and math.isnan(value) for row in calls for value in row.values())


def test_a_trace_without_calls_gives_empty_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dia.model.read_scripts", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dia5().speak("[S1] Hi.", trace=tmp_path / "run")
    assert tables(load(tmp_path / "run"), tmp_path / "tables") == ([], [])


def test_small_batches_join_to_the_same(trace: DiaTrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tables(trace, tmp_path / "whole")
    monkeypatch.setattr("dia2.inspect.trace.tables.CALLS_AT_ONCE", 5)
    monkeypatch.setattr("dia2.inspect.trace.tables.ROW_GROUP", 40)
    assert tables(trace, tmp_path / "parts") == whole
    assert np.isnan(trace.seconds[: trace.prefill_calls]).all()
