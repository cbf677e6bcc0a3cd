"""Memory as a real machine hands it out: not empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def used_memory() -> Iterator[None]:
    """New tensors without a value hold NaN, or the largest integer: whoever reads one before it is written is seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # by which torch fills them
    try:
        assert torch.empty(1).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(before)
