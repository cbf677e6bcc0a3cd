"""A batch under graphs: captured for a few numbers of rows, with the tokens of single runs without."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2 import GenerationResult, ReplaceToken, Request
from dia2.inspect import Dia2Trace
from dia2.runtime import pool
from dia2.runtime.batch.schedule import Batch, Over
from dia2.runtime.task import performed

from ..support.graphs import FakeGraphs, use_graphs
from ..support.reference import Recorder, assert_recorded, cases, checkpoints, engine

CASES = [case.values[0] for case in cases()]
SCRIPT = "[S1] one two three [S2] four"


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3", "tiny4"))
def test_all_cases_in_one_batch_have_the_reference_s_numbers(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tts, found = engine(checkpoint), [case for case in CASES if case.checkpoint == checkpoint]
    use_graphs(monkeypatch, tts, FakeGraphs(dry_runs=1))
    recorders = [Recorder() for _ in found]
    asked = [
        Request(case.expected["script"], case.config(use_cuda_graph=True), observer=recorder)
        for case, recorder in zip(found, recorders, strict=True)
    ]
    for case, result, recorder in zip(found, tts.generate_many(asked, max_rows=3), recorders, strict=True):
        assert isinstance(result, GenerationResult)
        assert_recorded(case, result, recorder)


def test_rows_that_draw_alike_share_a_pair_of_graphs_for_each_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    tts, backend = engine("tiny4"), FakeGraphs()
    alone = [tts.generate(SCRIPT, seed=seed) for seed in range(7)]
    use_graphs(monkeypatch, tts, backend)
    many = tts.generate_many([Request(SCRIPT, seed=seed, use_cuda_graph=True) for seed in range(7)], max_rows=5)
    for one, other in zip(many, alone, strict=True):
        assert isinstance(one, GenerationResult)
        assert torch.equal(one.audio_tokens, other.audio_tokens)
    assert backend.captures <= 2 * 4  # of 1, 2, 4 and 5 rows


def test_rows_of_other_settings_edits_and_traces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tts = engine("tiny4")
    edits = [ReplaceToken(6, 3, codebook=2)]
    given: list[dict[str, Any]] = [{"seed": 1}, {"seed": 1, "edits": edits}, {"seed": 2, "cfg_scale": 1.0}]
    given += [{"seed": 3, "temperature": 1.2}]
    for number, one in enumerate(given):
        tts.generate(SCRIPT, **one, trace=tmp_path / f"{number}.alone")
    use_graphs(monkeypatch, tts, FakeGraphs(dry_runs=1))
    tts.generate_many(
        [Request(SCRIPT, **one, use_cuda_graph=True, trace=tmp_path / f"{n}.row") for n, one in enumerate(given)]
    )
    for number in range(len(given)):
        alone, row = (Dia2Trace.load(tmp_path / f"{number}.{which}") for which in ("alone", "row"))
        assert alone.diff(row).same


def test_rows_that_are_observed_one_after_the_other_share_rings_and_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    tts, backend = engine("tiny4"), FakeGraphs()
    use_graphs(monkeypatch, tts, backend)
    asked = [Request(SCRIPT, seed=seed, use_cuda_graph=True, observer=Recorder()) for seed in range(4)]
    tts.generate_many(asked, max_rows=1)
    assert backend.captures == 2


def test_a_row_that_nobody_is_in_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rows are computed for the three that are kept busy, for longer than any context is."""
    tts = engine("tiny4")
    config = tts.runtime.config
    short = replace(config, runtime=replace(config.runtime, max_context_steps=12))
    monkeypatch.setattr(tts, "_runtime", replace(tts.runtime, config=short))
    monkeypatch.setattr(pool, "USUAL_PREFIX", 0.0)
    use_graphs(monkeypatch, tts, FakeGraphs())
    tasks = [tts._task(Request(SCRIPT, seed=seed, use_cuda_graph=True)) for seed in range(10)]
    waiting, found = list(enumerate(tasks)), dict[int, Any]()
    with tts.runtime.computing():
        batch, most = Batch(tts.runtime, branches=2, most=4, graphs=True), 4
        while waiting or len(batch):
            while waiting and len(batch) < most:
                number, task = waiting.pop(0)
                batch.join(number, partial(performed, task))
            most = 3
            batch.frame()
            found |= {event.key: event.result for event in batch.events if isinstance(event, Over)}
    for seed in range(10):
        assert found[seed].stop_reason == "context"
        assert torch.equal(found[seed].audio_tokens, tts.generate(SCRIPT, seed=seed).audio_tokens)
