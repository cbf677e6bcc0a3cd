"""The two halves under graphs, as far as a CPU can tell: recorded once, replayed every frame, never synced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dia2 import GenerationConfig, UsageError

from ..support.graphs import FakeGraphs, use_graphs
from ..support.reference import Case, Recorder, checkpoints, engine, relative


def run_graphed(monkeypatch: pytest.MonkeyPatch, case: Case, backend: FakeGraphs, **changes: Any) -> Any:
    tts = engine(case.checkpoint)
    use_graphs(monkeypatch, tts, backend)
    return tts.generate(case.expected["script"], case.config(use_cuda_graph=True, **changes))


@pytest.mark.parametrize("checkpoint", checkpoints("tiny3"))
@pytest.mark.parametrize("name", ["plain_cfg1", pytest.param("filter5", marks=pytest.mark.slow), "prefix2"])
@pytest.mark.parametrize("dry_runs", [pytest.param(0, marks=pytest.mark.slow), 3])
def test_graphs_give_the_reference_tokens(
    monkeypatch: pytest.MonkeyPatch, checkpoint: str, name: str, dry_runs: int
) -> None:
    case, backend = Case(checkpoint, name), FakeGraphs(dry_runs)
    result = run_graphed(monkeypatch, case, backend)
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())  # the first frame too
    assert backend.captures == 2
    assert backend.replays == 2 * result.frames


@pytest.mark.slow
def test_graphs_draw_as_the_eager_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("tiny8", "plain_cfg2")
    sampled = {"text": GenerationConfig().text, "audio": GenerationConfig().audio, "seed": 4}
    eager = engine("tiny8").generate(case.expected["script"], case.config(**sampled))
    graphed = run_graphed(monkeypatch, case, FakeGraphs(3), **sampled)
    assert torch.equal(graphed.audio_tokens, eager.audio_tokens)


def test_cuda_graphs_without_cuda_run_eagerly_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    case = Case("tiny3", "plain_cfg2")
    result = engine("tiny3").generate(case.expected["script"], case.config(use_cuda_graph=True))
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    assert "CUDA graphs are off: the device is cpu" in caplog.text


class Wrong:
    """Halves that no graph can replay."""

    def __init__(self) -> None:
        self.static = torch.zeros(3)
        self.others = [torch.ones(3) for _ in range(3)]
        self.count = 0
        self.out: Tensor | None = None

    def waits(self) -> None:
        self.static.add_(float(self.static[0]))

    def copies_from_the_host(self) -> None:
        self.static.copy_(torch.tensor([1.0, 2.0, 3.0]))

    def leaves_a_tensor(self) -> None:
        self.out = self.static + 1

    def reads_a_number_of_the_host(self) -> None:
        self.count += 1
        self.static.add_(self.count)

    def reads_another_address(self) -> None:
        self.count += 1
        self.static.add_(self.others[self.count])

    def takes_another_way(self) -> None:
        self.count += 1
        self.static.add_(1) if self.count % 2 else self.static.zero_()

    def grows(self) -> None:
        self.count += 1
        self.static[: self.count].add_(1)


HALVES = [name for name in vars(Wrong) if not name.startswith("_")]


@pytest.mark.parametrize("name", HALVES)
def test_the_stand_in_refuses_what_cuda_would(name: str) -> None:
    half: Callable[[], None] = getattr(Wrong(), name)
    replay = FakeGraphs().capture(half, lambda: None)

    def replay_twice() -> None:
        replay()
        replay()

    with pytest.raises(AssertionError, match=r"waits|copies|outlives|recorded was"):
        replay_twice()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_compiled_halves_give_the_reference_tokens() -> None:
    case, recorder = Case("tiny4", "prefix1"), Recorder()
    result = engine("tiny4").generate(case.expected["script"], case.config(use_torch_compile=True), observer=recorder)
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    theirs = case.tensors["cb0_logits"]
    assert relative(torch.stack(recorder.seen["logits.cb0"][: len(theirs)]), theirs) <= 1e-4


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    case = Case("tiny8", "plain_cfg2")
    with pytest.raises(UsageError, match="needs a C\\+\\+ compiler, and there is none: install g\\+\\+"):
        engine("tiny8").generate(case.expected["script"], case.config(use_torch_compile=True))
