"""Edits of activations on the device: graphs read them where they stand, and give what an eager run on a CPU does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia2 import Clamp, Dia2, Patch, Request, Steer, Where
from dia2.inspect import Dia2Trace, record

from ...support.acts import of_each_kind, vector
from ...support.batches import assert_same
from ...support.reference import Case, engine, local_files

SCRIPT = "[S1] one two three [S2] four"
GRAPHS: dict[str, Any] = {"use_cuda_graph": True}


def test_another_strength_vector_or_call_needs_no_new_graph(captures: list[int]) -> None:
    tts = Dia2.from_local(**local_files("tiny4"), device="cuda", dtype="float32")
    on_cpu = Dia2.from_local(**local_files("tiny4"), device="cpu", dtype="float32")
    kinds = of_each_kind(tts)
    others: list[list[Any]] = [
        kinds,
        [replace(edit, scale=3.0) if isinstance(edit, Steer) else edit for edit in kinds],
        [replace(edit, direction=edit.direction.tensor.flip(0)) if isinstance(edit, Clamp) else edit for edit in kinds],
        [replace(edit, where=Where(calls=(5, 19))) for edit in kinds],
    ]
    for edits in others:
        found = tts.generate(SCRIPT, seed=3, edits=edits, **GRAPHS).audio_tokens
        assert torch.equal(found, tts.generate(SCRIPT, seed=3, edits=edits).audio_tokens)
        assert torch.equal(found, on_cpu.generate(SCRIPT, seed=3, edits=edits).audio_tokens)
        assert len(captures) == 2


@pytest.mark.parametrize("graphs", [False, True])
def test_rows_are_each_as_alone(graphs: bool) -> None:
    tts = engine("tiny4")
    given: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 2, "edits": of_each_kind(tts)},
        {"seed": 3, "edits": [Steer("act.1.resid", vector(tts), 0.7)], "cfg_scale": 1.0},
        {"seed": 4, "edits": [Patch("act.0.mlp", vector(tts, 9), 4)]},
    ]
    alone = [tts.generate(SCRIPT, **one) for one in given]
    many = tts.generate_many([Request(SCRIPT, **one, use_cuda_graph=graphs) for one in given], max_rows=3)
    assert_same(many, alone)


def test_a_trace_replays_and_forks_there(tmp_path: Path) -> None:
    tts, case = engine("tiny4"), Case("tiny4", "prefix2")
    with record(tmp_path / "a.dia2trace", level="full"):
        tts.generate(SCRIPT, case.config(seed=5, **GRAPHS), edits=of_each_kind(tts, 30))
    trace = Dia2Trace.load(tmp_path / "a.dia2trace")
    again, main = trace.replay(tts), range(trace.warmup_calls, len(trace))
    stored = np.stack([trace.logits(call)["cb0"] for call in main])
    assert np.abs(again.cb0[main.start :].numpy() - stored).max() <= 1e-3
    fork = trace.fork(tts, len(trace) // 2)
    assert np.array_equal(fork.audio_tokens[0].numpy(), trace.aligned)
