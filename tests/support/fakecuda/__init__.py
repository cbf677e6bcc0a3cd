"""A CUDA device for machines that have none.

It gives a CPU build of torch a device `cuda`, whose kernels are the CPU's: a C++ extension (`src`) registers them
under torch's own dispatch key for CUDA, with device guard, streams, events, allocator, pinned memory, and graphs whose
capture records the calls and whose replay makes them again. `install()` then lets `torch.cuda` use all that. It changes
torch for the whole process and cannot be undone, so tests on it run in processes of their own (`tests/cuda`).

What is wrong on a GPU shows here. Refused, as CUDA does: tensors on two devices; a wait, or a copy from or to the host,
while capturing; waiting for a device while anybody captures; a replay that uses memory which was freed or moved.
Computed wrongly, as CUDA may: memory that is read before it is written holds NaN and −1, so do a graph's tensors until
its first replay; a copy to pinned memory arrives when it is waited for. `take_problems` tells what nobody was told of.

It says nothing about time, nor about the rounding of CUDA's kernels, nor about Triton. Kernels are counted as torch
dispatches operations, which is what an eager run launches: attention with its mask, RMSNorm and a product with its bias
count as one each.
"""

from __future__ import annotations

from .build import reason_to_skip
from .device import install, place
from .extension import Kernels, counted, limit_memory, take_problems

__all__ = ["Kernels", "counted", "install", "limit_memory", "place", "reason_to_skip", "take_problems"]
