"""The step of `gpu.py` that asks how fast frames come, and what they take of memory."""

from __future__ import annotations

from typing import Any

import torch
from gpu_figures import Report
from gpu_runs import Run, checkpoint, first_frame, in_turns
from shapes import bytes_read

from dia2.runtime.context import RuntimeContext

AGAIN = 6  # first frames of runs whose graphs are kept

# By name, in the order in which it is told.
WAYS: dict[str, dict[str, Any]] = {
    "graphs": {"use_cuda_graph": True},
    "eager": {},
    "graphs, guidance off": {"use_cuda_graph": True, "cfg_scale": 1.0},
    "eager, guidance off": {"cfg_scale": 1.0},
}


def speed(report: Report, shape: str, precision: str, seconds: float, compiled: bool = False) -> None:
    """Frames a second with graphs and without, guided and not; the first frame; memory.

    Args:
        report: where it is said.
        shape: of the checkpoint.
        precision: of the checkpoint, see `checkpoint`.
        seconds: of measuring for each way.
        compiled: beside graphs, the same with the parts compiled, in place of the other ways.
    """
    torch.cuda.reset_peak_memory_stats()
    target = checkpoint(shape, precision)
    report.figure("weights", target.weight_bytes, "B")
    ways: dict[str, dict[str, Any]] = dict(WAYS)
    if compiled:
        ways = {"compiled graphs": {**WAYS["graphs"], "use_torch_compile": True}, "graphs": WAYS["graphs"]}
    latency(report, target, next(iter(ways.values())))
    with target.computing():
        found = in_turns({name: Run(target, **way) for name, way in ways.items()}, seconds)
    once, used = bytes_read(target.model)
    for name, way in ways.items():
        branches = 1 if way.get("cfg_scale") == 1.0 else 2
        least = {"bytes_each": once, "flops_each": branches * operations(used), "numbers": target_numbers(target)}
        report.rate(name, found[name], "frames/s", **least)
    report.note("seconds a frame", found)
    first, *others = ways
    report.faster(first, found[first], others[0], found[others[0]])
    report.figure("memory at most", torch.cuda.max_memory_allocated(), "B")


def latency(report: Report, target: RuntimeContext, way: dict[str, Any]) -> None:
    """From a script to the first frame: the very first, and once graphs are kept; eager."""
    report.figure("the first frame, everything new", 1000 * first_frame(target, **way), "ms")
    report.spread("the first frame, graphs kept", [1000 * first_frame(target, **way) for _ in range(AGAIN)], "ms")
    if "use_torch_compile" in way:
        return  # eager lengths would be compiled, too
    eager = {name: value for name, value in way.items() if name != "use_cuda_graph"}
    report.figure("the first eager frame", 1000 * min(first_frame(target, **eager) for _ in range(2)), "ms")


def operations(used: int) -> float:
    """Operations of a frame and branch, at least: two for each weight, none of which takes more than four bytes."""
    return 2 * used / 4


def target_numbers(target: RuntimeContext) -> str:
    """What is multiplied, by the name that limits have for it."""
    return str(target.dtype).removeprefix("torch.")
