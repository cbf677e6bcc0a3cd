"""Tests on the pretended device, which `tests/cuda/test_suites.py` runs in processes of their own."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from dia2.runtime.graphs import CudaGraphs
from tests.support import fakecuda

collect_ignore_glob = [] if torch.cuda.is_available() else ["test_*.py"]


@pytest.fixture(autouse=True)
def no_problems() -> Iterator[None]:
    """Nothing may go wrong without an error either."""
    fakecuda.take_problems()
    yield
    assert fakecuda.take_problems() == []


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each capture that there was."""
    made, capture = list[int](), CudaGraphs.capture

    def counted(self: CudaGraphs, *args: Any) -> Any:
        made.append(1)
        return capture(self, *args)

    monkeypatch.setattr(CudaGraphs, "capture", counted)
    return made
