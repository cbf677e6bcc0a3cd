"""Several scripts side by side on the device: eagerly and by graphs, traced, streamed, in bfloat16."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2 import GenerationResult, Request
from dia2.inspect import Dia2Trace
from dia2.runtime.batch.state import bytes_of

from ...support import fakecuda
from ...support.reference import Recorder, assert_recorded, cases, checkpoints, engine

CASES = [case.values[0] for case in cases()]
SCRIPT = "[S1] Hello. [S2] Hi."


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("checkpoint", checkpoints("tiny3", "tiny4"))
def test_all_cases_in_one_batch_have_the_reference_s_numbers(checkpoint: str, graphs: bool) -> None:
    tts, found = engine(checkpoint), [case for case in CASES if case.checkpoint == checkpoint]
    recorders = [Recorder() for _ in found]
    asked = [
        Request(case.expected["script"], case.config(use_cuda_graph=graphs), observer=recorder)
        for case, recorder in zip(found, recorders, strict=True)
    ]
    for case, result, recorder in zip(found, tts.generate_many(asked, max_rows=3), recorders, strict=True):
        assert isinstance(result, GenerationResult)
        assert_recorded(case, result, recorder)


@pytest.mark.parametrize("graphs", [False, True])
def test_traces_of_rows_are_those_of_single_runs(graphs: bool, tmp_path: Path) -> None:
    tts = engine("tiny4")
    given: list[dict[str, Any]] = [{"seed": 1}, {"seed": 2, "cfg_scale": 1.0}, {"seed": 3, "temperature": 1.2}]
    for number, one in enumerate(given):
        tts.generate(SCRIPT, **one, trace=tmp_path / f"{number}.alone")
    asked = [
        Request(SCRIPT, **one, use_cuda_graph=graphs, trace=tmp_path / f"{number}.row")
        for number, one in enumerate(given)
    ]
    tts.generate_many(asked, max_rows=2)
    for number in range(len(given)):
        alone, row = (Dia2Trace.load(tmp_path / f"{number}.{which}") for which in ("alone", "row"))
        assert alone.diff(row).same


def test_streams_are_those_of_single_runs() -> None:
    tts = engine("tiny3")
    asked = [Request(SCRIPT, seed=seed, use_cuda_graph=True) for seed in (1, 2, 3)]
    found: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    for number, chunk in tts.stream_many(asked, max_rows=2):
        found[number].append(chunk)
    for number, pieces in found.items():
        whole = tts.generate(SCRIPT, seed=number + 1)
        joined = torch.cat([piece.waveform for piece in pieces])
        assert joined.shape == whole.waveform.shape
        assert (joined - whole.waveform).abs().max() <= 1e-4


@pytest.mark.parametrize("graphs", [False, True])
def test_a_batch_in_bfloat16_ends(graphs: bool) -> None:
    tts = engine("tiny3", "bfloat16")
    asked = [Request(SCRIPT, seed=seed, use_cuda_graph=graphs) for seed in range(4)]
    for one in tts.generate_many(asked, max_rows=3):
        assert isinstance(one, GenerationResult)
        assert one.stop_reason == "end"


def test_out_of_memory_fails_the_row_that_was_joining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system said there was enough; rows are so long that nothing else counts beside them."""
    tts = engine("tiny3")
    config = tts.runtime.config
    long = replace(config, runtime=replace(config.runtime, max_context_steps=9000))
    monkeypatch.setattr(tts, "_runtime", replace(tts.runtime, config=long))
    asked = [Request(SCRIPT, seed=seed) for seed in range(3)]
    alone = [tts.generate(SCRIPT, seed=seed) for seed in range(2)]
    tts.generate_many(asked)  # what else a batch allocates is there
    before = torch.cuda.memory_allocated()
    fakecuda.limit_memory(before + int(4.9 * bytes_of(tts.runtime, 1, 2, 0)))  # two rows, not three more beside them
    try:
        many = tts.generate_many(asked, on_error="return")
    finally:
        fakecuda.limit_memory(None)
    for one, other in zip(many, alone, strict=False):
        assert isinstance(one, GenerationResult)
        assert torch.equal(one.audio_tokens, other.audio_tokens)
    assert isinstance(many[2], torch.OutOfMemoryError)
