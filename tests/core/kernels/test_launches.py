"""What a frame starts at the sizes of Dia2-2B, and what its kernels become on a GPU: both without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from ...support.kernels import a_frame

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("int8", [False, True])
def test_a_guided_frame_at_2b_starts_fewer_than_900_kernels(int8: bool) -> None:
    from shapes import shape_config  # type: ignore[import-not-found]  # in benchmarks

    first, second, operations = a_frame(shape_config("2b"), torch.bfloat16, int8=int8)
    # Of each of 28 layers: q/k/v, attention in two, output, both halves. Text, codes, two heads, two draws.
    assert Counter(launch.kernel for launch in first) == {
        "product_kernel": 2 + 28 * 4 + 2, "add_codes_kernel": 1, "attend_kernel": 28, "join_kernel": 28,
        "draw_kernel": 2,
    }  # fmt: skip
    # Five weight sets; of each of 31 stages: four layers of five kernels, the head, the draw.
    assert Counter(launch.kernel for launch in second) == {
        "product_kernel": 5 + 31 * (4 * 4 + 1), "attend_kernel": 31 * 4, "draw_kernel": 31,
    }  # fmt: skip
    assert len(first) + len(second) + operations.total() <= 900


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_every_kernel_of_a_frame_compiles_for_a_gpu_without_spilling(capability: int) -> None:
    command = [sys.executable, "-m", "tests.support.kernels", str(capability)]
    told = subprocess.run(command, cwd=ROOT, env=os.environ | {"TRITON_INTERPRET": "0"}, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    kernels = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(kernels) >= 15
    assert [kernel for kernel in kernels if kernel["spilled"] or kernel["shared"] > 48 << 10] == []
