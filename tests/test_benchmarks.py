"""The benchmark that needs a GPU, as far as a CPU can try it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dia.generation import GenerationConfig
from dia2 import Dia2, SamplingConfig
from dia2.inspect.record import recorder
from dia2.runtime import capture as buffers
from dia2.runtime.packing import FORCED

from .support.graphs import FakeGraphs, use_graphs
from .support.pieces import Late

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_without_cuda_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert module("gpu").main(["--shapes", "nano"]) == 2
    assert capsys.readouterr().err == "There is no CUDA device here: run this where there is one.\n"


def test_a_step_that_breaks_is_a_verdict() -> None:
    gpu = module("gpu")

    def broken() -> Any:
        raise RuntimeError("out of [memory]\nand more")

    verdicts = [gpu.attempt("a", broken), gpu.attempt("b", lambda: (True, "fine", {"x": 1.5}))]
    assert [verdict.well for verdict in verdicts] == [False, True]
    assert verdicts[0].said == "broke: RuntimeError: out of [memory]"
    assert json.loads(gpu.written(verdicts, "a device"))["steps"][1]["figures"] == {"x": 1.5}
    console = Console(width=80, record=True, quiet=True)
    console.print(gpu.table(verdicts, "a device"))


def test_steps_can_be_left_out(tmp_path: Path) -> None:
    gpu = module("gpu")
    asked = gpu.arguments(["--shapes", "nano", "1b", "--skip", "compile", "memory", "--frames", "40"])
    names = [name for name, _ in gpu.steps(asked.shapes, asked.frames, asked.skip, tmp_path)]
    each = ("stream", "speed", "tracing", "waits", "allocations")
    assert names == [
        *("parity", "bfloat16", "stream", "speed", "allocations", "dia", "sanitizer", "speed dia"),
        *(f"{step} {shape}" for shape in ("nano", "1b") for step in each),
    ]
    assert gpu.arguments([]).shapes == ["nano", "300m", "1b", "2b"]
    assert "--cuda-graph" in gpu.sanitizer()


@pytest.mark.slow
def test_what_runs_are_compared_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = module("gpu_exact")
    monkeypatch.setattr(exact, "SCRIPT", "[S1] Hi.")
    well, said, figures = exact.parity("cpu", tmp_path)
    assert well
    assert figures["largest difference"] == 0
    assert said.startswith(f"{figures['same calls']} of {figures['same calls']} calls are the same; logits")
    (tmp_path / "apart").mkdir()
    well, said, figures = exact.parity("cpu", tmp_path / "apart", cfg_scale=3.0)
    assert not well
    assert said.startswith(f"{figures['same calls']} of ")
    assert "; first " in said


def test_the_first_parting_and_its_margin() -> None:
    exact = module("gpu_exact")

    def trace(actions: list[int], codes: list[list[int]]) -> Any:
        rows = [SimpleNamespace(action=action) for action in actions]
        return type(
            "Fake",
            (),
            {
                "warmup_calls": 1,
                "codes": np.array(codes),
                "machine_at": lambda self, call: rows[call],
                "__len__": lambda self: len(rows),
            },
        )()

    a = trace([0, 0, 1], [[0, 0], [1, 2], [3, 4]])
    assert exact.first_parting(a, a) is None
    assert exact.first_parting(a, trace([9, 0, 1], [[9, 9], [1, 2], [3, 5]])) == (2, 1)  # call 0 is warm-up
    assert exact.first_parting(a, trace([0, 1, 1], [[0, 0], [7, 2], [3, 4]])) == (1, None)

    logits = torch.tensor([0.25, 0.5, 0.25]).log()
    sampled, greedy = SamplingConfig(1.0, 0), SamplingConfig(0.0, 0)
    assert exact.margin(logits, sampled, torch.tensor(0.7)) == pytest.approx(0.05)
    assert exact.margin(logits, sampled, torch.tensor(0.3)) == pytest.approx(0.05)
    assert exact.margin(logits, greedy, torch.tensor(0.3)) == pytest.approx(np.log(2))


@pytest.mark.slow
def test_the_margin_of_a_recorded_draw(tmp_path: Path) -> None:
    exact, tts = module("gpu_exact"), Dia2.nano(device="cpu")
    _, trace = exact.spoken(tts, tmp_path / "run", topk_audio=5)
    for codebook in (None, 0, 3):
        margins = [exact.margin_at(tts, trace, call, codebook) for call in range(5)]
        assert all(0 <= margin <= 0.5 for margin in margins)  # so the uniform lies within what was drawn


def test_floors() -> None:
    cost = module("gpu_cost")
    seconds = {"eager": np.array([0.02, 0.02]), "graphs": np.array([0.01, 0.01])}
    assert cost.speeds(seconds, (10, 40), 4000.0) == pytest.approx(
        {"eager": 50, "graphs": 100, "floor": 400, "floor as used": 100, "share": 0.25}
    )
    model = Dia2.nano(device="cpu").runtime.model
    once, used = cost.bytes_read(model)
    tables = [part for part in model.modules() if isinstance(part, torch.nn.Embedding)]
    everything = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert once == everything - sum(table.weight.numel() * 4 for table in tables)
    assert used > once
    assert cost.read_bandwidth("cpu", size=1 << 20, repeats=1) > 0


def test_counters() -> None:
    cost = module("gpu_cost")
    after = {"allocation.all.allocated": 7, "allocated_bytes.all.current": 512}
    assert cost.grown({"allocation.all.allocated": 4}, after) == {"allocations": 3, "bytes": 512, "segments": 0}


@pytest.mark.slow
def test_runs_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cost = module("gpu_cost")
    monkeypatch.setattr(cost, "BLOCK", 2)
    tts, backend = Dia2.nano(device="cpu"), FakeGraphs()
    use_graphs(monkeypatch, tts, backend)
    target = tts.runtime
    _, said, figures = cost.speed(target, 4, 1e9)
    assert figures["dtype"] == "float32"
    assert f"{figures['graphs']:.1f} frames/s with graphs" in said
    clocks = buffers.LATEST, recorder.SHARD_SECONDS
    _, _, figures = cost.tracing(target, 4, tmp_path)
    assert clocks == (buffers.LATEST, recorder.SHARD_SECONDS)
    assert figures["ratio"] > 0
    assert (tmp_path / "run.dia2trace" / "manifest.json").exists()
    well, said, figures = cost.allocations(target, 4, lambda: {})
    assert well
    assert figures["captures of the second run"] == 0
    assert backend.captures == 6  # two states without rings, and one with those of a trace


@pytest.mark.slow
def test_what_is_heard_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, cost = module("gpu_exact"), module("gpu_cost")
    monkeypatch.setattr(exact, "SCRIPT", "[S1] Hi.")
    well, said, figures = exact.heard("cpu")
    assert well
    assert said.startswith(f"{figures['pieces']} pieces differ from the whole by at most ")
    monkeypatch.setattr(exact, "CLOSE", -1.0)
    assert not exact.heard("cpu")[0]

    monkeypatch.setattr(cost, "BLOCK", 2)
    monkeypatch.setattr(cost, "Beside", Late)  # the stand-in of one that needs CUDA
    _, said, rates = cost.hearing(Dia2.nano(device="cpu").runtime, 2)
    assert said == f"{rates['beside']:.1f} pieces/s decoded beside the run, {rates['between']:.1f} between frames"


@pytest.mark.slow
def test_rows_of_dia_are_compared() -> None:
    well, said, figures = module("gpu_dia").parity("cpu", use_torch_compile=False)
    assert well
    assert said == f"{figures['steps']} rows of 2 scripts are the same"


@pytest.mark.parametrize("graphs", [False, True])
def test_steps_of_dia_are_those_of_a_run(graphs: bool) -> None:
    step = module("dia_step")
    _, config = step.configs("tiny")
    model = step.random_model(config, torch.float32)
    with torch.no_grad():
        run = step.Ours(model, GenerationConfig(temperature=0.0), 30, FakeGraphs if graphs else None)
        for _ in range(5):
            run.step()
    written = run.state.output.generated_tokens[0]
    assert int((written[:6] >= 0).all(dim=1).sum()) == 6
    assert int(written[6:].max()) == -1


@pytest.fixture
def small_shape(monkeypatch: pytest.MonkeyPatch) -> str:
    """A shape as large as one with a thread for each core must be, and no larger."""
    sizes = {"layers": 1, "width": 256, "hidden": 256, "heads": 2, "dep_layers": 1, "dep_width": 128, "sets": 1}
    monkeypatch.setitem(module("shapes").SHAPES, "small", sizes)
    return "small"


def test_a_shape_computes_with_the_threads_that_the_floor_is_read_with(small_shape: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        target = module("shapes").runtime(small_shape, torch.float32)
        assert target.weight_bytes > 64 << 20
        assert target.threads == before + 1
        with target.computing():
            assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("kernel", "memory"), [("blocks", ""), ("unpacked", "not ")])
def test_a_frame_tells_what_int8_weights_are_multiplied_by(
    small_shape: str, kernel: str, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = module("frame")
    monkeypatch.setenv(FORCED, kernel)
    monkeypatch.setattr(frame, "_READ", 1 << 20)
    found = frame.variants(small_shape, ["bfloat16", "bfloat16+int8"])
    reads = frame.measure(found, 1, Console(quiet=True))
    plain, packed = (frame._row(variant, 1e9 / reads[0]) for variant in found)
    assert (plain["products"], packed["products"]) == (None, kernel)
    gigabytes, share = packed["resident"] / 1e9, packed["resident"] / plain["resident"]
    assert (share < 1) == (not memory)
    said = f"{gigabytes:.3f} GB of weights resident ({share:.3f} of those of bfloat16), {memory}quantised in memory"
    assert frame.choices(found) == [f"bfloat16+int8: products by {kernel}; {said}"]
    found[1].name += "+compile"
    loops = "unpacked" if memory else "compiled sums"
    assert frame.choices(found) == [f"bfloat16+int8+compile: products by {loops}; {said}"]
    assert f"by {loops}; {gigabytes:.3f} GB of weights resident, {memory}" in frame.choices(found[1:])[0]
