"""Runs on the device beside conformance: side by side, in threads, from kept graphs, in other precisions, observed."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dia2 import Dia2, UsageError
from dia2.inspect import Dia2Trace, record

from ...support.dia import dia5
from ...support.graphs import FakeGraphs, use_graphs
from ...support.reference import Case, engine, local_files

SCRIPT = "[S1] Hello. [S2] Hi."
GRAPHS: dict[str, Any] = {"use_cuda_graph": True}


def in_threads(*work: Callable[[], Tensor]) -> list[Tensor | BaseException]:
    """What each gives, or raises, if all begin at once."""
    found: list[Tensor | BaseException] = [torch.empty(0)] * len(work)
    together = threading.Barrier(len(work))

    def do(n: int) -> None:
        together.wait()
        try:
            found[n] = work[n]()
        except BaseException as error:  # noqa: BLE001  # what is compared is also what went wrong
            found[n] = error

    threads = [threading.Thread(target=do, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_threads_of_dia_have_a_state_each() -> None:
    dia = dia5()

    def speak(seed: int) -> Tensor:
        return dia.speak("[S1] Hello there. [S2] Hi!", seed=seed, max_tokens=30, **GRAPHS).scripts[0].codes

    seeds = (1, 2, 3)
    expected = [speak(seed) for seed in seeds]
    for _ in range(2):  # capturing, then from kept graphs
        for found, wanted in zip(in_threads(*(lambda s=seed: speak(s) for seed in seeds)), expected, strict=True):
            assert isinstance(found, Tensor), found
            assert torch.equal(found, wanted)


def test_threads_of_dia2_have_a_state_each() -> None:
    tts, seeds = engine("tiny3"), (1, 2, 3)

    def speak(seed: int) -> Tensor:
        return tts.generate(SCRIPT, seed=seed, **GRAPHS).audio_tokens

    expected = [tts.generate(SCRIPT, seed=seed).audio_tokens for seed in seeds]
    for _ in range(2):
        for found, wanted in zip(in_threads(*(lambda s=seed: speak(s) for seed in seeds)), expected, strict=True):
            assert isinstance(found, Tensor), found
            assert torch.equal(found, wanted)


def test_kept_graphs_serve_other_seeds_scripts_and_prefixes(captures: list[int]) -> None:
    tts = Dia2.from_local(**local_files("tiny3"), device="cuda", dtype="float32")
    for name in ("plain_cfg2", "prefix2", "plain_cfg2"):
        case = Case("tiny3", name)
        result = tts.generate(case.expected["script"], case.config(seed=len(name), **GRAPHS))
        assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
        assert len(captures) == 2


PRECISIONS: list[dict[str, str]] = [
    {"dtype": "bfloat16"},
    {"quantize": "int8"},
    {"dtype": "bfloat16", "quantize": "int8"},
]


@pytest.mark.parametrize("options", PRECISIONS, ids=lambda options: ",".join(options.values()))
@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny3"])
def test_replays_make_what_the_halves_make_in_every_precision(
    checkpoint: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in runs a half anew each time, and finds fault if it is not what was recorded."""
    tts = Dia2.from_local(**local_files(checkpoint), device="cuda", **({"dtype": "float32"} | options))
    replayed = [tts.generate(SCRIPT, seed=1, **GRAPHS).audio_tokens for _ in range(2)]
    backend = FakeGraphs(3)
    use_graphs(monkeypatch, tts, backend)
    halves = tts.generate(SCRIPT, seed=1, **GRAPHS).audio_tokens
    assert backend.replays > 20
    assert torch.equal(replayed[0], halves)
    assert torch.equal(replayed[1], halves)


@pytest.mark.parametrize("graphs", [False, True])
def test_a_stream_is_the_whole_and_its_observer_sees_what_a_plain_run_s_does(graphs: bool, tmp_path: Path) -> None:
    case, tts = Case("tiny3", "prefix2"), engine("tiny3")
    settings: dict[str, Any] = {"use_cuda_graph": graphs, "seed": 1}
    with record(tmp_path / "a.dia2trace", level="full"):
        whole = tts.generate(case.expected["script"], case.config(**settings))
    with record(tmp_path / "b.dia2trace", level="full"):
        pieces = list(tts.stream(case.expected["script"], case.config(**settings)))
    joined = torch.cat([piece.waveform for piece in pieces])
    assert joined.device.type == "cpu"
    assert (joined - whole.waveform).abs().max() <= 1e-4
    first, second = (Dia2Trace.load(tmp_path / f"{name}.dia2trace") for name in "ab")
    assert np.array_equal(first.step_tokens, second.step_tokens)
    main = range(first.warmup_calls, len(first))
    assert [first.draws(call) for call in main] == [second.draws(call) for call in main]
    fork = first.fork(tts, len(first) // 2)
    assert np.array_equal(fork.audio_tokens[0].numpy(), first.aligned)
    again = first.replay(tts)
    stored = [first.logits(call)["cb0"] for call in main]
    assert np.abs(again.cb0[main.start :].cpu().numpy() - np.stack(stored)).max() <= 1e-3


def test_compiling_is_refused_where_there_is_no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "triton" else find(name, *rest)
    )
    with pytest.raises(UsageError, match=r"torch\.compile on CUDA needs Triton"):
        engine("tiny3").generate(SCRIPT, use_torch_compile=True)
    with pytest.raises(UsageError, match=r"torch\.compile on CUDA needs Triton"):
        dia5().speak("[S1] Hello.", use_torch_compile=True)
