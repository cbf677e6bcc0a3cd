"""The two halves under graphs, as far as a CPU can tell: recorded once, replayed every frame, never synced.

The stand-in backend keeps CUDA's rules: recording runs nothing, and a replay may neither wait for the device nor
look at a value on the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dia2 import GenerationConfig
from dia2.runtime import generator
from dia2.runtime.frame import GenerationState
from dia2.runtime.graphs import GraphRunner

from ..support.reference import Case, Recorder, checkpoints, engine, relative

SYNCS = {"aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::is_nonzero", "aten::equal"}


class NoSync(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """Fails on every operation that a stream capture would refuse."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func._schema.name not in SYNCS, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


class FakeGraphs:
    """Counts captures and replays."""

    def __init__(self, dry_runs: int = 0) -> None:
        self.captures = 0
        self.replays = 0
        self._dry_runs = dry_runs

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        for _ in range(self._dry_runs):
            half()
            reset()

        def replay() -> None:
            self.replays += 1
            with NoSync():  # type: ignore[no-untyped-call]  # likewise
                half()

        return replay


def run_graphed(monkeypatch: pytest.MonkeyPatch, case: Case, backend: FakeGraphs, **changes: Any) -> Any:
    addresses: list[set[int]] = []

    def make(runtime: Any, gen: GenerationState, config: GenerationConfig, taps: Any) -> GraphRunner:
        tensors = (gen.step_tokens, gen.audio_buf, gen.text, gen.step, gen.call, gen.decode.transformer.keys)
        addresses.append({tensor.data_ptr() for tensor in tensors})
        runner = GraphRunner(runtime, gen, config, backend, taps)
        second = runner.second

        def checked() -> None:
            second()
            assert {tensor.data_ptr() for tensor in tensors} == addresses[0]

        runner.second = checked  # type: ignore[method-assign]  # to look at the state after each frame
        return runner

    monkeypatch.setattr(generator, "make_runner", make)
    return engine(case.checkpoint).generate(case.expected["script"], case.config(**changes))


@pytest.mark.parametrize("checkpoint", checkpoints("tiny4", "tiny3"))
@pytest.mark.parametrize("name", ["plain_cfg1", "filter5", "prefix2"])
@pytest.mark.parametrize("dry_runs", [0, 3])
def test_graphs_give_the_reference_tokens(
    monkeypatch: pytest.MonkeyPatch, checkpoint: str, name: str, dry_runs: int
) -> None:
    case, backend = Case(checkpoint, name), FakeGraphs(dry_runs)
    result = run_graphed(monkeypatch, case, backend)
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())  # the first frame too
    assert backend.captures == 2
    assert backend.replays == 2 * result.frames


def test_graphs_draw_as_the_eager_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("tiny8", "plain_cfg2")
    sampled = {"text": GenerationConfig().text, "audio": GenerationConfig().audio, "seed": 4}
    eager = engine("tiny8").generate(case.expected["script"], case.config(**sampled))
    graphed = run_graphed(monkeypatch, case, FakeGraphs(3), **sampled)
    assert torch.equal(graphed.audio_tokens, eager.audio_tokens)


def test_cuda_graphs_without_cuda_run_eagerly_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    case = Case("tiny8", "plain_cfg2")
    result = engine("tiny8").generate(case.expected["script"], case.config(use_cuda_graph=True))
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    assert "CUDA graphs are off: the device is cpu" in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_compiled_halves_give_the_reference_tokens() -> None:
    case, recorder = Case("tiny4", "prefix1"), Recorder()
    result = engine("tiny4").generate(case.expected["script"], case.config(use_torch_compile=True), observer=recorder)
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    theirs = case.tensors["cb0_logits"]
    assert relative(torch.stack(recorder.seen["logits.cb0"][: len(theirs)]), theirs) <= 1e-4
