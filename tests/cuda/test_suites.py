"""Tests on a pretended CUDA device, in processes of their own: it changes torch for the whole process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..support import fakecuda

ROOT = Path(__file__).parents[2]
WHY = fakecuda.reason_to_skip()

SUITES: dict[str, tuple[str, ...]] = {
    "conformance": ("tests/cuda/on_device/test_conformance.py",),
    "the rest": (
        "tests/cuda/on_device/test_device.py",
        "tests/cuda/on_device/test_switches.py",
        "tests/cuda/on_device/test_runs.py",
    ),
}


@pytest.mark.skipif(WHY is not None, reason=WHY or "")
@pytest.mark.parametrize("name", SUITES)
def test_on_the_pretended_device(name: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment = {key: value for key, value in environment.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.fakecuda.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-q", "-m", "not slow", *SUITES[name]],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout
    assert "skipped" not in done.stdout, done.stdout
