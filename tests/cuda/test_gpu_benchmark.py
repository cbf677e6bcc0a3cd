"""`benchmarks/gpu.py` from end to end on the pretended device, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..support import fakecuda

ROOT = Path(__file__).parents[2]
WHY = fakecuda.reason_to_skip()
pytestmark = pytest.mark.skipif(WHY is not None, reason=WHY or "")
# These say nothing here: the kernels are the CPU's, which allocate, and other processes have the CPU, too.
OF_THE_CPU = (" is faster than ", "a recorded frame's time is at most ", "frames of graphs allocate nothing")


def call(folder: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file's content, and its steps by name, once it is certain that nothing went wrong but timings."""
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--preload", "tests.support.pretended_gpu"]
    command += ["--start", "forkserver", "--shapes", "nano", "--dia", "tiny", "--measure", "0", "--patience", "20"]
    done = subprocess.run(
        [*command, "--seconds", "100000", "--results", str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")]), "OMP_NUM_THREADS": "1"},
    )
    content = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))
    log = (folder / "gpu.log").read_text(encoding="utf-8")
    for step in content["steps"]:
        faults = [fault for fault in step["faults"] if not any(words in fault for words in OF_THE_CPU)]
        assert faults == [], (step, log[-8000:])
        assert step["state"] == ("fault" if step["faults"] else "well"), (step, done.stdout, log[-8000:])
    assert done.returncode == any(step["faults"] for step in content["steps"]), done.stderr
    return content, {step["step"]: step for step in content["steps"]}


def values(step: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in step["figures"]}


def test_a_few_steps(tmp_path: Path) -> None:
    content, steps = call(tmp_path, "--only", "speed nano bf", "kernels nano bf", "exact dia")
    assert list(steps) == ["device", "speed nano bfloat16", "kernels nano bfloat16", "exact dia"]
    assert content["device"]["name"] == "pretended CUDA device"
    assert content["limits"]["source"] == "1.25 × its copy"
    speed = values(steps["speed nano bfloat16"])
    assert {"graphs", "eager", "graphs, guidance off", "memory at most", "the first frame, graphs kept"} <= set(speed)
    assert speed["memory at most"] > speed["weights"] > 1e6
    kernels = values(steps["kernels nano bfloat16"])
    assert kernels["graphs, second half: kernels a frame"] > kernels["graphs, first half: kernels a frame"] > 50
    assert kernels["graphs: kernels a frame"] < 1.6 * kernels["eager: kernels a frame"]  # replays are counted once
    assert steps["kernels nano bfloat16"]["notes"]["graphs, first half: names"][0]["share"] > 0.05


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_steps(tmp_path: Path) -> None:
    _, steps = call(tmp_path, "--skip", "compile")  # Triton is what torch.compile needs on CUDA
    assert len(steps) == 20
    assert all(step["claims"] or step["figures"] for step in steps.values())
    said = [claim["said"] for claim in steps["conformance dia2 graphs"]["claims"]]
    assert len(said) == 3
    assert all(" cases are the reference's, token for token" in one for one in said)
