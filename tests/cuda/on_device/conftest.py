"""Tests on the pretended device, which `tests/cuda/test_suites.py` runs in processes of their own."""

from collections.abc import Iterator

import pytest
import torch

from tests.support import fakecuda

collect_ignore_glob = [] if torch.cuda.is_available() else ["test_*.py"]


@pytest.fixture(autouse=True)
def no_problems() -> Iterator[None]:
    """Nothing may go wrong without an error either."""
    fakecuda.take_problems()
    yield
    assert fakecuda.take_problems() == []
