"""`benchmarks/gpu.py` keeps what it promises whatever its steps do; what they measure has other tests."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
PATIENCE = 60.0  # seconds for what takes one on an idle machine


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str) -> Any:
    return importlib.import_module(name)


def step(name: str, seconds: float = PATIENCE, drop: int = 0, least: float | None = None, **options: Any) -> Any:
    work = name.partition(" ")[0]
    return module("gpu_plan").Step(name, f"tests.support.gpu_steps:{work}", seconds, drop, options, least)


def run(folder: Path, steps: Sequence[Any], budget: float = 10 * PATIENCE) -> Any:
    """The outcomes, by step, as the file has them."""
    gpu, results = module("gpu"), module("gpu_results").Results(folder / "gpu.json", steps, budget)
    gpu.run(steps, results, Console(quiet=True), folder / "gpu.log", preload=[], start="spawn")
    _, outcomes = module("gpu_results").read(folder / "gpu.json")
    return {outcome.step: outcome for outcome in outcomes}


def gone(pid: int) -> bool:
    """No such process runs any more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # nobody has asked for its end yet


def eventually(check: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if check():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_without_cuda_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert module("gpu").main(["--only", "device", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "There is no CUDA device here: run this where there is one.\n"


def test_a_step_that_dies_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    found = run(tmp_path, [step("finds"), step("dies"), step("raises"), step("finds again")])
    assert [outcome.state for outcome in found.values()] == ["well", "died", "broke", "well"]
    assert found["finds"].notes["pid"] != found["finds again"].notes["pid"]
    dead, broken = found["dies"], found["raises"]
    assert dead.why == "its process died: SIGABRT"
    assert dead.figures[0]["value"] == 1.0  # what it found before
    assert "what a library says before it gives up" in dead.log
    assert "os.abort()" not in dead.log
    assert "gpu_steps.py" in dead.log  # where it was
    assert broken.why == "RuntimeError: out of [memory]"
    assert "and more" in broken.log
    assert module("gpu").verdict(list(found.values())) == 1
    log = (tmp_path / "gpu.log").read_text()
    assert log.index("== dies") < log.index("what a library says") < log.index("== finds again")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    found = run(tmp_path, [step("hangs", seconds=3), step("finds")])
    assert [outcome.state for outcome in found.values()] == ["hung", "well"]
    hung = found["hangs"]
    assert hung.figures[0]["name"] == "before"
    assert all(gone(pid) for pid in hung.notes["pids"])
    assert "in hangs" in hung.log  # where it was
    assert module("gpu").verdict([hung]) == 1


def test_what_does_not_fit_makes_room_in_the_declared_order(tmp_path: Path) -> None:
    plan = module("gpu_plan")
    steps = [step(f"finds {i}", seconds=10, drop=drop) for i, drop in enumerate((0, 3, 1, 2))]
    steps.append(step("finds last", seconds=90, drop=4, least=5))
    names = [[one.name[6:] for one in plan.kept(steps, left)] for left in (45, 44, 30, 29.9, 10, 9)]
    assert names == [["0", "1", "2", "3", "last"], ["0", "1", "2", "3"], ["0", "2", "3"], ["0", "2"], ["0"], []]

    steps = [
        step("finds first", seconds=100, drop=0),
        step("finds second", seconds=100, drop=9),  # makes room for the one after it, though its turn comes before
        step("finds third", seconds=100, drop=1),
        step("finds fourth", seconds=300, drop=2),
    ]
    found = run(tmp_path, steps, budget=250)
    assert [outcome.state for outcome in found.values()] == ["well", "dropped", "well", "dropped"]
    said = found["finds second"].why
    assert said.startswith("dropped: it needs 100 s, and 2")
    assert said.endswith(" s are left, 100 s of them kept for 1 steps that go first")
    assert found["finds fourth"].why.endswith(" s are left")
    assert module("gpu").verdict(list(found.values())) == 0
    lines = module("gpu").summary(list(found.values()), 12.3, 250).splitlines()
    assert lines == ["4 steps in 12 of 250 s", "well: 2", "dropped: finds second, finds fourth"]


def test_a_step_is_cut_where_all_time_is_spent(tmp_path: Path) -> None:
    began = time.monotonic()
    found = run(tmp_path, [step("hangs", seconds=600, least=0.5)], budget=3)
    assert found["hangs"].state == "cut"
    assert 2 < time.monotonic() - began < PATIENCE
    assert module("gpu").verdict(list(found.values())) == 0  # it may happen to this one


@pytest.mark.parametrize(
    ("name", "figure", "fault"),
    [
        ("NVIDIA H200", {"rate": 1000, "bytes_each": 4.7e9}, ""),
        (
            "NVIDIA H200",
            {"rate": 1000, "bytes_each": 4.9e9},
            "found: 1,000 frames/s would move 4.9 TB/s, and this memory moves at most 4.8 TB/s (the data sheet of "
            "H200)",
        ),
        (
            "NVIDIA H200",
            {"rate": 1000, "flops_each": 8e10, "numbers": "float32"},
            "found: 1,000 frames/s would be 80 TFLOP/s of float32, and this device does at most 73.7 TFLOP/s (the data "
            "sheet of H200)",
        ),
        ("NVIDIA H200", {"rate": 1e6, "bytes_each": 1e7}, ""),  # which its cache may hold
        ("Another", {"rate": 1000, "bytes_each": 9e9}, ""),
    ],
)
def test_what_is_beyond_the_device_is_a_fault(name: str, figure: dict[str, Any], fault: str, tmp_path: Path) -> None:
    found = run(tmp_path, [step("device", called=name), step("finds", value=1000.0, **figure)])
    assert found["finds"].faults == ([fault] if fault else [])
    assert found["finds"].state == ("fault" if fault else "well")
    assert module("gpu").verdict(list(found.values())) == bool(fault)


DRIVER = """
import sys
sys.path[:0] = sys.argv[1:3]
import gpu, gpu_plan
def step(work): return gpu_plan.Step(work, f"tests.support.gpu_steps:{work}", 600.0, 0, {})
gpu.plan = lambda *asked: [step("finds"), step("hangs")]
gpu.DEVICE = "nobody"
if __name__ == "__main__":
    sys.exit(gpu.main(["--results", sys.argv[3], "--seconds", "100000"]))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_found_outlives_the_call(number: signal.Signals, tmp_path: Path) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    results = tmp_path / "results"
    command = [sys.executable, str(driver), str(FOLDER), str(ROOT), str(results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as call:
        looks = []

        def hanging() -> bool:
            if (results / "gpu.json").exists():
                content = json.loads((results / "gpu.json").read_text())  # whole whenever one looks
                looks.append([one["state"] for one in content["steps"]])
                return "pids" in content["steps"][1]["notes"]
            return False

        try:
            assert eventually(hanging)
        finally:
            call.send_signal(number)
        said, _ = call.communicate(timeout=PATIENCE)
    content = json.loads((results / "gpu.json").read_text())
    assert [one["state"] for one in content["steps"]] == ["well", "running"]
    assert content["steps"][0]["figures"][0]["value"] == 1.0
    assert [one["name"] for one in content["steps"][1]["figures"]] == ["before"]
    first, second = content["steps"][1]["notes"]["pids"]
    assert eventually(lambda: gone(first) and gone(second))
    if number == signal.SIGTERM:
        assert call.returncode == 130
        assert "interrupted; what there is stands in" in said.replace("\n", " ")
    assert sorted(path.name for path in results.iterdir()) == ["gpu.json", "gpu.log"]
