"""Triton's kernels, interpreted on a CPU in processes of their own: Triton decides when it is imported."""

from __future__ import annotations

import importlib.util

import pytest

from ..support.suites import run_apart

KERNELS = ["tests/core/kernels"]
INTERPRETED = {"TRITON_INTERPRET": "1"}
pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton has wheels for Linux alone")


def test_kernels_compute_what_the_modules_do() -> None:
    run_apart(KERNELS, environment=INTERPRETED)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whole_runs_and_thousands_of_draws() -> None:
    run_apart(KERNELS, slow=True, environment=INTERPRETED)
