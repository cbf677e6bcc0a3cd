"""Tests on a pretended CUDA device, in processes of their own: it changes torch for the whole process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import fakecuda
from ..support.suites import ROOT, run_apart

WHY = fakecuda.reason_to_skip()
FILES = sorted(str(file.relative_to(ROOT)) for file in (Path(__file__).parent / "on_device").glob("test_*.py"))
LONGEST = "tests/cuda/on_device/test_conformance.py"
SUITES = {"conformance": [LONGEST], "the rest": [file for file in FILES if file != LONGEST]}


@pytest.mark.skipif(WHY is not None, reason=WHY or "")
@pytest.mark.parametrize("name", SUITES)
def test_on_the_pretended_device(name: str) -> None:
    run_apart(SUITES[name], options=["-p", "tests.support.fakecuda.plugin"])


@pytest.mark.slow
@pytest.mark.skipif(WHY is not None, reason=WHY or "")
def test_what_takes_long_on_the_pretended_device() -> None:
    run_apart(FILES, slow=True, options=["-p", "tests.support.fakecuda.plugin"])
