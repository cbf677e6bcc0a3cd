"""Starting a kernel, and counting starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import triton
from triton.runtime.interpreter import InterpretedFunction

ROWS = 8  # of a frame, at most: with more, a product should be one of matrices

_counters: list[Counter[str]] = []


def launch(
    kernel: Any, grid: tuple[int, ...], device: torch.device, *args: Any, warps: int = 4, **options: Any
) -> None:
    """Start `kernel` on `device`, which need not be the current one.

    Args:
        kernel: a function under `triton.jit`.
        grid: programs, in up to three dimensions.
        device: where the tensors among `args` are.
        *args: its pointers and numbers.
        warps: of 32 threads, for each program.
        **options: its compile-time constants. No product is contracted with a sum unless `enable_fp_fusion` says so.
    """
    for counter in _counters:
        counter[kernel.__name__] += 1
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernel[grid](*args, num_warps=warps, **{"enable_fp_fusion": False, **options})


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """A block whose launches are counted, by the kernel's name; those of all threads."""
    counter = Counter[str]()
    _counters.append(counter)
    try:
        yield counter
    finally:
        _counters.remove(counter)


def interpreted(kernel: Any) -> bool:
    """Whether Triton was imported under TRITON_INTERPRET=1, so that kernels run on tensors of the CPU."""
    return isinstance(kernel, InterpretedFunction)


def power_of_two(number: int) -> int:
    """The smallest one that is not below `number`."""
    size: int = triton.next_power_of_2(number)
    return size
