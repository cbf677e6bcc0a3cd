"""The benchmark that needs a GPU, as far as a CPU can try its parts; `test_gpu_call.py` has how they are called."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dia.generation import GenerationConfig
from dia2 import Dia2, SamplingConfig, UsageError
from dia2.core.layers import CodeEmbedding
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


class Said:
    """What a step says: figures and claims by name."""

    def __init__(self) -> None:
        self.figures: dict[str, Mapping[str, Any]] = {}
        self.claims: dict[str, Mapping[str, Any]] = {}
        self.notes: dict[str, Any] = {}
        self.report = module("gpu_figures").Report(self._hear)

    def _hear(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "note":
            self.notes[content["name"]] = content["value"]
        elif kind == "figure":
            self.figures[content["name"]] = content
        else:
            self.claims[content["what"]] = content


# Figures


def test_an_interval_of_the_median_holds_it_as_often_as_it_says() -> None:
    figures, chance = module("gpu_figures"), random.Random(0)
    for count in (6, 9, 14, 25):
        held = 0
        for _ in range(2000):
            low, high = figures.interval([chance.expovariate(1.0) for _ in range(count)])
            held += low <= np.log(2) <= high
        assert held / 2000 > 0.945
    assert figures.interval(list(range(25))) == (7, 17)  # narrower than all of them
    assert figures.interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert figures.interval([5.0]) == (5.0, 5.0)


@pytest.mark.parametrize(
    ("others", "holds", "said"),
    [
        ([2, 2, 2, 2, 2, 4], "well", "2.00 × as fast as b (2.00 … 4.00, 6 pairs)"),
        ([0.9, 1.2, 1.1, 1.3, 1.2, 1.4], "unclear", "1.20 × as fast as b (0.90 … 1.40, 6 pairs)"),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.99], "fault", "0.50 × as fast as b (0.50 … 0.99, 6 pairs)"),
    ],
)
def test_faster_is_said_with_its_margin(others: list[float], holds: str, said: str) -> None:
    heard = Said()
    heard.report.faster("a", [1.0] * 6, "b", others)
    assert heard.claims["a is faster than b"] == {"what": "a is faster than b", "holds": holds, "said": said}


@pytest.mark.parametrize(
    ("values", "holds", "said"),
    [
        ([1.0] * 6, "well", "1.000 (1.000 … 1.000, 6 samples), +0.100 of margin"),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.2], "unclear", "1.000 (1.000 … 1.200, 6 samples), +0.100 of margin"),
        ([1.2] * 6, "fault", "1.200 (1.200 … 1.200, 6 samples), -0.100 of margin"),
        ([1.1], "well", "1.100, +0.000 of margin"),
    ],
)
def test_a_bound_is_held_with_its_margin(values: list[float], holds: str, said: str) -> None:
    heard = Said()
    heard.report.no_more_than("a", values, 1.1)
    assert (heard.claims["a"]["holds"], heard.claims["a"]["said"]) == (holds, said)


def test_figures_in_words() -> None:
    heard = Said()
    heard.report.rate("a", [0.01, 0.02, 0.04], "frames/s", bytes_each=4.0)
    figure = module("gpu_figures").Figure(**heard.figures["a"])
    assert figure.text == "50 frames/s (25 frames/s … 100 frames/s; 3)"
    assert (figure.rate, figure.bytes_each, figure.samples) == (50.0, 4.0, 3)
    shown = module("gpu_figures").shown
    assert [shown(1.234e12, "B/s"), shown(5e6, "B"), shown(12345, "frames/s")] == [
        "1.23 TB/s",
        "5 MB",
        "12,345 frames/s",
    ]
    assert shown(788e12, "FLOP/s") == "788 TFLOP/s"


# Limits


def test_an_unknown_device_is_known_by_its_copy() -> None:
    limits, figure = module("gpu_limits"), module("gpu_figures").Figure
    found = limits.limits_of({"name": "NVIDIA Something", "cache": 1000})
    frames = figure("frames", 100.0, "frames/s", rate=100.0, bytes_each=1e9)
    assert found.fault(frames) is None  # nothing is known yet
    found = found.after(figure("copy", 1e10, "B/s", rate=1.0, bytes_each=1e10))
    assert found.bytes_a_second == pytest.approx(1.25e10)
    assert "this memory moves at most 12.5 GB/s (1.25 × its copy)" in found.fault(frames)
    assert found.share(frames) == pytest.approx(10.0)
    slower = figure("frames", 5.0, "frames/s", rate=5.0, bytes_each=1e9)
    assert found.fault(slower) is None
    assert found.share(slower) == pytest.approx(0.5)


def test_a_known_device_is_held_to_its_data_sheet() -> None:
    limits, figure = module("gpu_limits"), module("gpu_figures").Figure
    found = limits.limits_of({"name": "NVIDIA GeForce RTX 4090"}).after(figure("copy", 0.9e12, "B/s"))
    assert (found.bytes_a_second, found.measured) == (1.008e12, 0.9e12)
    assert limits.limits_of({"name": "NVIDIA GeForce RTX 4090 Laptop GPU"}).bytes_a_second == 0  # another chip
    copy = figure("copy", 1.1e12, "B/s", rate=1.0, bytes_each=1.1e12)
    assert "is at most" not in str(found.fault(copy))
    assert str(found.fault(copy)).startswith("copy: 1.1 TB/s would move 1.1 TB/s, and this memory moves at most 1.01")
    tf32 = figure("float32 product", 140e12, "FLOP/s", rate=1.0, flops_each=140e12, numbers="float32")
    assert "FLOP/s of float32" in found.fault(tf32)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_is_no_number_is_a_fault(value: float) -> None:
    figure = module("gpu_figures").Figure("a", value, "ms")
    assert module("gpu_limits").Limits().fault(figure) == f"a is {value}, which is no measurement"


# The plan


def test_the_plan() -> None:
    plan = module("gpu_plan")
    steps = plan.plan(plan.SHAPES, "1.6b", 2.0)
    names = [step.name for step in steps]
    assert names[:3] == ["device", "speed 2b bfloat16", "kernels 2b bfloat16"]
    assert [name for name in names if name.startswith("compile")] == names[-3:]
    assert all((step.least is not None) == step.name.startswith("compile") for step in steps)
    assert {step.name for step in steps if step.name.startswith("speed")} == {
        *("speed 2b bfloat16", "speed 2b int8", "speed 2b float32", "speed dia"),
        *(f"speed {shape} bfloat16" for shape in ("1b", "300m", "nano")),
    }
    assert len(set(names)) == len({step.drop for step in steps}) == len(steps)
    order = sorted(steps, key=lambda step: -step.drop)
    assert [step.name for step in order[:3]] == ["compile dia", "compile exact", "speed nano bfloat16"]
    assert order[-1].name == "device"
    for step in steps:  # there is such a function, and it takes what it is given
        name, _, function = step.work.partition(":")
        if name in ("gpu_device", "gpu_conformance"):  # not loaded here: these change this process
            continue
        work = getattr(module(name), function)
        code = work.__code__
        assert {"report", *step.options} <= set(code.co_varnames[: code.co_argcount])
        assert code.co_argcount - len(work.__defaults__ or ()) <= 1 + len(step.options)
    patient = plan.patient(steps, 2.0)
    assert [step.seconds for step in patient] == [2 * step.seconds for step in steps]
    assert patient[-1].least == 2 * steps[-1].least


def test_steps_can_be_chosen() -> None:
    plan = module("gpu_plan")
    steps = plan.plan(["2b", "1b"], "tiny", 2.0)
    names = [step.name for step in plan.chosen(steps, ["device", "speed"], ["speed dia", "speed 1b"])]
    assert names == ["device", "speed 2b bfloat16", "speed 2b int8", "speed 2b float32"]
    assert plan.chosen(steps, [], []) == steps
    with pytest.raises(SystemExit, match="There is no step 'spede': --list shows them"):
        plan.chosen(steps, [], ["spede"])


def test_the_list_shows_which_steps_make_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert module("gpu").main(["--list", "--shapes", "nano", "--only", "compile"]) == 0
    rows = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert "device 60 4" in rows
    assert "compile dia 90 (or what is left, from 30 s on) 1" in rows


# Kernels


def event(cat: str, name: str, ts: float, dur: float = 1.0, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "args": args}


def test_kernels_belong_to_the_half_that_launched_them() -> None:
    kernels = module("gpu_kernels")
    trace = [
        event("user_annotation", "first half", 0, 10),
        event("user_annotation", "second half", 20, 10),
        event("user_annotation", "whole", 0, 100),
        event("cuda_runtime", "cudaGraphLaunch", 5, correlation=1),
        event("cuda_driver", "cuLaunchKernel", 21, correlation=2),
        event("cuda_runtime", "cudaLaunchKernel", 200, correlation=3),
        event("cuda_runtime", "cudaMemcpyAsync", 22, correlation=4),
        event("cpu_op", "aten::mm", 21, correlation=2),
        event("kernel", "b", 40, 4, correlation=2),
        event("kernel", "a", 30, 2, correlation=1),
        event("kernel", "a", 33, 2, correlation=1),
        event("kernel", "c", 300, 1, correlation=3),
        event("gpu_memcpy", "Memcpy DtoH", 43, 3, correlation=4),
        event("gpu_memset", "Memset", 400, 1, correlation=99),
        {"ph": "M", "name": "process_name"},
    ]
    found = kernels.device_work(trace)
    assert [(work.name, work.part, work.kernel) for work in found] == [
        ("a", "first half", True),
        ("a", "first half", True),
        ("b", "second half", True),
        ("Memcpy DtoH", "second half", False),
        ("c", kernels.OUTSIDE, True),
        ("Memset", kernels.OUTSIDE, False),
    ]
    assert kernels.occupied(found) == 2 + 2 + 6 + 1 + 1  # two overlap
    assert kernels.gaps(found) == [1, 5, 254, 99]
    assert kernels.longest_gaps(found, 1) == [{"µs": 254, "after": "second half: Memcpy DtoH", "before": "outside: c"}]
    assert kernels.names(found[:3], 2, 1) == [{"name": "a", "a frame": 1.0, "µs a frame": 2.0, "share": 0.5}]
    assert kernels.names(found[:3], 2, 5)[0]["name"] in "ab"


def test_frames_are_told_by_their_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, said = module("gpu_kernels"), Said()
    work = [
        kernels.Work("k", part, float(10 * i), 4.0, i != 3) for i, part in enumerate(["first half"] * 3 + ["x"] * 3)
    ]
    run = SimpleNamespace(frames=lambda count: 0.5 * count)
    monkeypatch.setattr(kernels, "profiled", lambda what: (what() and work, 4.0))
    kernels.told(said.report, "graphs", run, 2, 1000)
    values = {name.removeprefix("graphs"): figure["value"] for name, figure in said.figures.items()}
    assert values == pytest.approx(
        {
            ", first half: kernels a frame": 1.5,
            ", first half: the device works": 0.006,
            ", x: kernels a frame": 1.0,
            ", x: the device works": 0.006,
            ": kernels a frame": 2.5,
            ": copies and fills a frame": 0.5,
            ": the device works": 0.012,
            ": a kernel on average": 12 / 2.5,
            ": gap between neighbours, median": 6.0,
            ": idle": 0.015,
            ": a frame without the profiler": 500.0,
            ": a frame with it": 2000.0,
        }
    )
    busy = said.figures["graphs: the device works"]
    assert busy["rate"] * busy["bytes_each"] == pytest.approx(1000 / 12e-6)  # held to what memory can do
    monkeypatch.setattr(kernels, "profiled", lambda what: ([], 1.0))
    kernels.told(said.report, "eager", run, 2, 1000)
    assert said.claims["eager: the profiler sees kernels"]["holds"] == "fault"


def test_halves_have_their_labels_for_the_profiler() -> None:
    kernels, runs = module("gpu_kernels"), module("gpu_runs")
    run = runs.Run(Dia2.nano(device="cpu").runtime)
    with kernels.labelled_halves(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        run.frames(1)
    run.close()
    counts = {one.key: one.count for one in profile.key_averages()}
    assert (counts["first half"], counts["second half"]) == (2, 2)  # the run's first frame does not count
    assert kernels.graphs.EagerRunner.first.__qualname__ == "EagerRunner.first"  # put back


# Exactness


def trace_of(actions: list[int], codes: list[list[int]], logits: list[dict[str, np.ndarray]] | None = None) -> Any:
    rows = [SimpleNamespace(action=action) for action in actions]
    return type(
        "Fake",
        (),
        {
            "warmup_calls": 1,
            "codes": np.array(codes),
            "machine_at": lambda self, call: rows[call],
            "logits": lambda self, call: (logits or [])[call],
            "run": SimpleNamespace(
                seed=3,
                config=SimpleNamespace(
                    cfg_scale=1.0, cfg_filter_k=0, text=SamplingConfig(1.0, 0), audio=SamplingConfig(1.0, 0)
                ),
            ),
            "__len__": lambda self: len(rows),
        },
    )()


def test_the_first_parting() -> None:
    exact = module("gpu_exact")
    a = trace_of([0, 0, 1], [[0, 0], [1, 2], [3, 4]])
    assert exact.first_parting(a, a) is None
    assert exact.first_parting(a, trace_of([9, 0, 1], [[9, 9], [1, 2], [3, 5]])) == (2, 1)  # call 0 is warm-up
    assert exact.first_parting(a, trace_of([0, 1, 1], [[0, 0], [7, 2], [3, 4]])) == (1, None)


@pytest.mark.parametrize(
    ("shift", "close", "holds", "said"),
    [
        (1e-4, 1e-3, "well", "codebook 1 parts at call 2 of 3: its draw lay "),
        (0.2, 1e-3, "fault", "; 1e-03 is allowed"),  # more than rounding
        (0.0, 1e-3, "fault", ", which is not enough"),  # the same logits give the same token
    ],
)
def test_a_parting_is_accounted_for_or_a_fault(
    shift: float, close: float, holds: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, heard = module("gpu_exact"), Said()
    tts = SimpleNamespace(runtime=SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(channels=5))))
    even = np.zeros((1, 4), dtype=np.float32)

    def logits(first: float, later: float) -> dict[str, np.ndarray]:
        dep = np.zeros((2, 1, 4), dtype=np.float32)
        dep[0, 0, 0], dep[1] = first, later  # what comes after the draw that parted may be anything
        return {"action": even[:, :2] + 1, "cb0": even + 1, "dep": dep + 1}

    monkeypatch.setattr(exact, "uniforms", lambda seed, calls, channels: torch.full((calls, channels), 0.24999))
    codes = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
    a = trace_of([0, 0, 0], codes, [logits(0, 0)] * 3)
    b = trace_of([0, 0, 0], [*codes[:2], [0, 1, 0]], [logits(0, 0)] * 2 + [logits(-shift, 9)])
    found = exact.parting(tts, a, b)
    assert (found.call, found.codebook, found.largest) == (2, 1, pytest.approx(shift, abs=1e-7))
    assert found.typical == pytest.approx(shift / 2, abs=1e-7)  # of two calls, the first has none
    exact.judged(heard.report, "same", tts, a, b, close)
    assert heard.claims["same"]["holds"] == holds
    assert said in heard.claims["same"]["said"]


def test_the_margin_of_a_draw_and_how_far_two_lie_apart() -> None:
    exact = module("gpu_exact")
    logits, other = torch.tensor([0.25, 0.5, 0.25]).log(), torch.tensor([0.3, 0.5, 0.2]).log()
    sampled, greedy = SamplingConfig(1.0, 0), SamplingConfig(0.0, 0)
    assert exact.margin(logits, sampled, torch.tensor(0.7)) == pytest.approx(0.05)
    assert exact.margin(logits, sampled, torch.tensor(0.3)) == pytest.approx(0.05)
    assert exact.margin(logits, sampled, torch.tensor(0.99)) == pytest.approx(0.24)  # beyond the last there is none
    assert exact.margin(logits, greedy, torch.tensor(0.3)) == pytest.approx(np.log(2))
    assert exact.apart(logits, other, sampled) == pytest.approx(0.05)
    assert exact.apart(logits, other, greedy) == pytest.approx(2 * np.log(0.25 / 0.2))
    assert exact.apart(logits, logits, sampled) == 0


@pytest.mark.slow
def test_runs_are_compared_and_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, said = module("gpu_exact"), Said()
    monkeypatch.setattr(exact, "SCRIPT", "[S1] Hi.")
    tts = Dia2.nano(device="cpu")
    one, same = (exact.spoken(tts, tmp_path / str(i), cfg_scale=2) for i in range(2))
    monkeypatch.setattr(exact, "SCRIPT", "[S1] No.")  # which no rounding explains
    other = exact.spoken(tts, tmp_path / "other", cfg_scale=2)
    exact.judged(said.report, "same", tts, one, same, 0.0)
    assert said.claims["same"]["holds"] == "well"
    assert said.claims["same"]["said"].startswith(
        f"all {len(one)} calls are the same; logits of the same inputs differ"
    )
    exact.judged(said.report, "other", tts, one, other, 1e-3)
    assert said.claims["other"]["holds"] == "fault"
    assert " parts at call " in said.claims["other"]["said"]
    assert exact.replayed(tts, one) < 1e-4


# Costs


def test_floors() -> None:
    shapes = module("shapes")
    model = Dia2.nano(device="cpu").runtime.model
    once, used = shapes.bytes_read(model)
    tables = [part for part in model.modules() if isinstance(part, torch.nn.Embedding | CodeEmbedding)]
    everything = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert once == everything - sum(part.numel() * 4 for table in tables for part in table.parameters())
    assert used > once


def test_counters() -> None:
    cost = module("gpu_cost")
    after = {"allocation.all.allocated": 7, "allocated_bytes.all.current": 512}
    assert cost.grown({"allocation.all.allocated": 4}, after) == {"allocations": 3, "bytes": 512, "segments": 0}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """nano, by stand-ins of graphs; two blocks of a frame each."""
    runs = module("gpu_runs")
    for name, value in (("SETTLE", 1), ("LEAST", 2), ("BLOCK", 0.0)):
        monkeypatch.setattr(runs, name, value)

    def make(backend: FakeGraphs) -> Any:
        tts = Dia2.nano(device="cpu")
        use_graphs(monkeypatch, tts, backend)
        return tts.runtime

    return make


def test_runs_take_turns(short: Callable[..., Any]) -> None:
    runs = module("gpu_runs")
    backend = FakeGraphs()
    target = short(backend)
    made = {"eager": runs.Run(target), "graphs": runs.Run(target, use_cuda_graph=True)}
    with target.computing():
        found = runs.in_turns(made, 0.0)
    assert {name: len(values) for name, values in found.items()} == {"eager": 2, "graphs": 2}
    assert all(value > 0 for values in found.values() for value in values)
    assert backend.captures == 2
    assert runs.first_frame(target, use_cuda_graph=True) > 0
    assert backend.captures == 2  # kept


@pytest.mark.slow
def test_what_a_run_costs(short: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cost, said = module("gpu_cost"), Said()
    monkeypatch.setattr(cost, "FRAMES", 4)
    backend = FakeGraphs()
    target = short(backend)
    cost.allocations(said.report, target, lambda: {})
    assert said.claims["frames of graphs allocate nothing"]["holds"] == "well"
    claim = said.claims["a second run captures nothing and keeps no more memory"]
    assert claim["said"] == "0 captures, 0 segments, 0 bytes more"
    monkeypatch.setattr(cost, "checkpoint", lambda shape, precision: target)
    clocks = buffers.LATEST, recorder.SHARD_SECONDS
    cost.tracing(said.report, "nano", 0.0)
    assert clocks == (buffers.LATEST, recorder.SHARD_SECONDS)
    assert said.figures["recorded"]["value"] > 0
    assert " of margin" in said.claims["a recorded frame's time is at most 1.1 × another's"]["said"]


@pytest.mark.slow
def test_what_is_heard_is_compared(short: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    stream, said = module("gpu_stream"), Said()
    monkeypatch.setattr(stream, "SCRIPT", "[S1] Hi.")
    monkeypatch.setattr(stream, "AGAIN", 2)
    stream.joined(said.report, "cpu")
    claim = said.claims["the pieces of a stream are the whole"]
    assert claim["holds"] == "well"
    assert " pieces differ from it by at most " in claim["said"]
    monkeypatch.setattr(stream, "CLOSE", -1.0)
    monkeypatch.setattr(stream, "DEVICE", "cpu")
    stream.joined(said.report, "cpu")
    assert said.claims["the pieces of a stream are the whole"]["holds"] == "fault"

    monkeypatch.setattr(stream, "joined", lambda report: None)
    monkeypatch.setattr(stream, "checkpoint", lambda shape, precision: Dia2.nano(device="cpu").runtime)
    monkeypatch.setattr(stream, "Beside", Late)  # the stand-in of one that needs CUDA
    stream.measure(said.report, "nano", 0.0)
    assert said.figures["the first piece, graphs kept"]["samples"] == 2
    assert said.figures["decoded beside the run"]["value"] > 0
    assert "decoding beside the run is faster than between frames" in said.claims


@pytest.mark.slow
def test_rows_of_dia_are_compared() -> None:
    dia, said = module("gpu_dia"), Said()
    dia.same(said.report, "graphs", module("dia").Dia.toy(device="cpu"))
    claim = said.claims["graphs, second run: the eager run's codes"]
    assert claim["holds"] == "well"
    assert claim["said"].endswith(" rows of 2 scripts are the same")
    assert dia._parts(torch.tensor([[1], [2]]), torch.tensor([[1], [3]])) == 1
    assert dia._parts(torch.tensor([[1], [2]]), torch.tensor([[1]])) == 1
    assert dia._parts(torch.tensor([[1]]), torch.tensor([[1]])) is None


@pytest.mark.parametrize("graphs", [False, True])
def test_steps_of_dia_are_those_of_a_run(graphs: bool) -> None:
    shapes = module("dia_shapes")
    model = shapes.random_model(shapes.config_of("tiny"), torch.float32)
    with torch.no_grad():
        run = shapes.Ours(model, GenerationConfig(temperature=0.0), 30, FakeGraphs if graphs else None)
        for _ in range(5):
            run.step()
    written = run.state.output.generated_tokens[0]
    assert int((written[:6] >= 0).all(dim=1).sum()) == 6
    assert int(written[6:].max()) == -1


def frames_of_batches(
    monkeypatch: pytest.MonkeyPatch, folder: Path, options: str, error: Exception | None = None
) -> Any:
    """What `batch.py` keeps, of a machine that is asked little; `error`: why nothing can be compiled."""

    def check(wanted: bool, device: torch.device) -> None:
        if error is not None:
            raise error

    batch = module("batch")
    monkeypatch.setattr(module("report"), "results_folder", lambda: folder)
    monkeypatch.setattr(module("machine"), "READ", 1 << 20)
    monkeypatch.setattr(module("machine"), "SIDE", 64)
    monkeypatch.setattr(batch, "check_compiler", check)
    monkeypatch.setattr("sys.argv", ["batch.py", *options.split()])
    monkeypatch.setenv("COLUMNS", "120")
    batch.main()
    (kept,) = folder.iterdir()
    return json.loads(kept.read_text(encoding="utf-8"))


def test_rows_of_a_batch_are_timed_beside_a_run_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--rows 1 2 --rounds 1 --frames 1 --fill 20"
    kept = frames_of_batches(monkeypatch, tmp_path, options, UsageError("no compiler"))
    said = capsys.readouterr().out
    assert "nothing is compiled: no compiler" in said
    assert "nano, float32, guided: 1 round of 1 frame from call 20 on" in said
    assert [row["name"] for row in kept["rows"]] == ["alone, eager", "1 row, eager", "2 rows, eager"]
    assert all(row["name"] in said for row in kept["rows"])
    alone, one, two = kept["rows"]
    assert [row["lanes"] for row in kept["rows"]] == [2, 2, 4]
    assert two["cache_bytes"] == 2 * one["cache_bytes"]
    for row in kept["rows"]:
        (seconds,) = row["seconds"]
        assert row["ms"] == pytest.approx({"middle": 1000 * seconds, "low": 1000 * seconds, "high": 1000 * seconds})
        rate = max(row["rows"], 1) / seconds
        assert row["frames_a_second"]["middle"] == pytest.approx(rate)
        assert row["audio_seconds_a_second"]["middle"] == pytest.approx(rate / 12.5)
        assert row["times_alone"]["eager"]["middle"] == pytest.approx(rate * alone["seconds"][0])
        read = kept["weight_bytes_a_frame"] / kept["read_gb_a_second"]["middle"] / 1e9
        assert row["of_floor"]["middle"] == pytest.approx(read / seconds)
        products = row["lanes"] * sum(module("shapes").operations(Dia2.nano(device="cpu").runtime.model).values())
        peak = 1e9 * kept["peak_gflops"]["float32"]["middle"]
        assert row["of_peak"]["middle"] == pytest.approx(products / peak / seconds)


def test_rows_that_there_is_no_memory_for_are_not_timed_as_fewer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dia2.runtime.batch.memory.free_bytes", lambda device: 20_000_000)  # a row takes 16 MB
    with pytest.raises(SystemExit, match="no memory for 2 rows, only for 1: leave them out of --rows"):
        frames_of_batches(monkeypatch, tmp_path, "--rows 2", UsageError("no compiler"))


@pytest.mark.slow
def test_batches_of_random_weights_need_no_guidance(
    small_shape: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = f"--shape {small_shape} --dtype bfloat16 --unguided --rows 2 --rounds 1 --frames 1 --fill 20"
    kept = frames_of_batches(monkeypatch, tmp_path, options, UsageError("no compiler"))
    assert [row["lanes"] for row in kept["rows"]] == [1, 2]
    assert sorted(kept["peak_gflops"]) == ["bfloat16", "float32"]  # the heads'


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_rows_are_compiled_and_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--rows 2 --rounds 1 --frames 1 --fill 20 --ways compiled --tokens"
    kept = frames_of_batches(monkeypatch, tmp_path, options)
    assert [row["name"] for row in kept["rows"]] == ["alone, compiled", "alone, eager", "2 rows, compiled"]
    assert kept["tokens"] == {"compiled": ["same", "same"]}
    assert "compiled: 2 of 2 rows have the tokens of their single runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--rows 0", "numbers are from 1"),
        ("--shape 300m --tokens", "--tokens is for nano"),
        ("--guided --unguided", "not allowed with"),
        ("--fill 1500", "room for --fill 1494 at most"),
    ],
)
def test_what_no_batch_can_be_asked(
    options: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as error:
        frames_of_batches(monkeypatch, tmp_path, options)
    assert said in capsys.readouterr().err + str(error.value)


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


@pytest.mark.parametrize(
    ("kernel", "memory"), [pytest.param("blocks", "", marks=pytest.mark.slow), ("unpacked", "not ")]
)
def test_a_frame_tells_what_int8_weights_are_multiplied_by(
    small_shape: str, kernel: str, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = module("frame")
    monkeypatch.setenv(FORCED, kernel)
    monkeypatch.setattr(module("machine"), "READ", 1 << 20)
    found = frame.variants(small_shape, ["bfloat16", "bfloat16+int8"])
    reads = frame.measure(found, 1, Console(quiet=True))
    plain, packed = (frame._row(variant, reads[0]) for variant in found)
    assert (plain["products"], packed["products"]) == (None, kernel)
    gigabytes, share = packed["resident"] / 1e9, packed["resident"] / plain["resident"]
    assert (share < 1) == (not memory)
    said = f"{gigabytes:.3f} GB of weights resident ({share:.3f} of those of bfloat16), {memory}quantised in memory"
    assert frame.choices(found) == [f"bfloat16+int8: products by {kernel}; {said}"]
    found[1].name += "+compile"
    loops = "unpacked" if memory else "compiled sums"
    assert frame.choices(found) == [f"bfloat16+int8+compile: products by {loops}; {said}"]
    assert f"by {loops}; {gigabytes:.3f} GB of weights resident, {memory}" in frame.choices(found[1:])[0]


def test_the_tiny_dia_has_the_sizes_that_are_compared_with_transformers() -> None:
    shapes, step = module("dia_shapes"), module("dia_step")
    for name in ("tiny", "1.6b"):
        assert step.configs(name)[1].model == shapes.config_of(name).model
        assert step.configs(name)[1].data == shapes.config_of(name).data


def test_the_cost_of_a_sweep_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setattr(module("report"), "results_folder", lambda: tmp_path)
    monkeypatch.setattr("sys.argv", ["sweep.py", "--runs", "3", "--rows", "2", "--level", "tokens"])
    monkeypatch.setattr(module("sweep"), "SCRIPT", "[S1] Yes.")
    module("sweep").main()
    found = json.loads((tmp_path / "sweep_nano_tokens.json").read_text())
    assert (found["runs"], found["trace_files"], found["level"]) == (3, found["trace_files"], "tokens")
    assert found["share"] == found["bookkeeping_ms"] / found["run_ms"] > 0
    assert found["table_files"] * 3 == 5  # four tables of one group, and the plan
    assert "a run of nano takes" in capsys.readouterr().out


# Activations


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux alone tells how much a process was resident in"
)
def test_what_activations_cost_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it once, on nano: against this very checkout, whose frames are those of before, too."""
    activations = module("activations")
    monkeypatch.setattr(module("report"), "results_folder", lambda: tmp_path)
    with torch.no_grad():
        activations.main(["--quick", "--against", str(FOLDER.parent)])
    facts = json.loads((tmp_path / "activations_quick.json").read_text(encoding="utf-8"))
    config = Dia2.nano().runtime.config.model.decoder
    assert facts["reading"]["bytes_a_call"] >= 2 * 4 * config.n_layer * config.n_embd  # of both branches, float32
    assert set(facts["reading"]["ms_a_call"]) == {"nothing", "into a file", "into memory"}
    assert set(facts["frames"]["ms"]) == {"without edits", *activations.EDITED, "before"}
    assert set(facts["frames"]["ratio"]) == {*activations.EDITED, "before"}
    assert "nano, 5 layers, float32" in capsys.readouterr().out


def test_frames_without_edits_are_the_same_to_the_bit() -> None:
    """What the benchmark times as without edits has none; its edits change what is computed."""
    child, shapes = module("activations_child"), module("shapes")
    target = shapes.runtime("nano", torch.float32)
    assert child.edits_of("plain", target) == []
    drawn: list[torch.Tensor] = []
    for variant in ("plain", "one clamped", "plain"):
        with torch.no_grad(), target.computing():
            run = child.Run(target, variant)
            for _ in range(3):
                run.frame()
            codes = run._frames.gi_frame.f_locals["gen"].audio_buf[0, :, :5].clone()
        drawn.append(codes)
    assert torch.equal(drawn[0], drawn[2])
    assert child.edits_of("one clamped", target)
