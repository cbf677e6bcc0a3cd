"""CUDA streams for work beside a run: torch has 32 to hand out, in turn, so each use takes one and keeps it."""

from __future__ import annotations

from functools import cache

import torch


@cache
def side_stream(device: torch.device, use: str) -> torch.cuda.Stream:
    """The stream of a device for one `use`; runs share it.

    A stream for each run would, after 32 of them, be another's, and every one keeps memory of its own: cuBLAS a
    workspace, the allocator its blocks.
    """
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types it nowhere
    return stream
