"""What a frame costs, against the time of reading its weights once: the floor of any way to compute it on a CPU.

    python benchmarks/frame.py [--shape nano|300m|1b|2b] [--frames 10] [--variants float32 bfloat16+compile …]

All variants and the read of a large tensor take turns, frame by frame, in one process: ratios compare neighbours in
time, and absolute figures are this machine's of that hour. A frame's bytes are those of its weights: every matrix of
the transformer once, those of the depformer once for each stage that uses them, and the heads; caches and embeddings
are left out.

A variant is a dtype with any of `+compile`, `+int8`, `+one` (guidance off: one branch) and `+late` (from step 1,390).
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from machine import Memory
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import SHAPES, bytes_read, open_run, packed, runtime

from dia2 import Dia2, GenerationConfig
from dia2.runtime import graphs
from dia2.runtime.context import RuntimeContext
from dia2.runtime.packing import unpacked

DEFAULT = [
    "float32",
    "float32+compile",
    "bfloat16",
    "bfloat16+compile",
    "bfloat16+compile+one",
    "bfloat16+int8+compile",
]
OPTIONS = {"compile", "int8", "one", "late"}
LATE = 1390  # the step at which a late run begins
_SETTLE = 4  # frames before the clock starts: compilation, caches


class Halves:
    """Clocks around the two halves of a frame, which the runtime calls by these names."""

    def __init__(self) -> None:
        self.spent = {"first_half": 0.0, "second_half": 0.0}
        for name in self.spent:
            setattr(graphs, name, self._timed(name, getattr(graphs, name)))  # for this process only

    def _timed(self, name: str, half: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*inputs: Any) -> Any:
            began = time.perf_counter()
            out = half(*inputs)
            self.spent[name] = time.perf_counter() - began
            return out

        return timed


_HALVES = Halves()


@dataclass
class Variant:
    """One way to compute a frame, kept open so that rounds go on where the last one stopped."""

    name: str
    target: RuntimeContext
    bytes: int  # of weights a frame
    seconds: list[tuple[float, float, float]] = field(default_factory=list)  # of each frame, and of its halves
    run: Any = None

    def frame(self) -> None:
        """One frame more."""
        if self.run is None:
            options = self.name.split("+")
            config = GenerationConfig(
                seed=1, cfg_scale=1.0 if "one" in options else 2.0, use_torch_compile="compile" in options
            )
            self.run = open_run(self.target, config, first=LATE if "late" in options else 0)
        began = time.perf_counter()
        next(self.run)
        self.seconds.append((time.perf_counter() - began, *_HALVES.spent.values()))


def variants(shape: str, names: list[str]) -> list[Variant]:
    """All of them; those of one precision share their weights.

    Raises:
        SystemExit: there is no such variant.
    """
    targets: dict[tuple[str, bool], RuntimeContext] = {}
    found = []
    for name in names:
        dtype, *options = name.split("+")
        if dtype not in ("float32", "bfloat16") or not set(options) <= OPTIONS:
            raise SystemExit(f"There is no variant {name!r}: a dtype with any of +{', +'.join(sorted(OPTIONS))}.")
        key = dtype, "int8" in options
        if key not in targets:
            targets[key] = _target(shape, dtype, int8=key[1])
        found.append(Variant(name, targets[key], bytes_read(targets[key].model)[1]))
    return found


def _target(shape: str, dtype: str, *, int8: bool) -> RuntimeContext:
    if shape == "nano":
        return Dia2.nano(dtype=dtype, quantize="int8" if int8 else None).runtime
    target = runtime(shape, getattr(torch, dtype))
    return packed(target) if int8 else target


def measure(found: list[Variant], frames: int, console: Console) -> list[float]:
    """Run all variants in turn; returns the bytes a second of each read of memory."""
    memory = Memory()
    reads: list[float] = []
    order = random.Random(0)  # noqa: S311  # shuffles turns
    threads = torch.get_num_threads()
    assert all(variant.target.threads in (threads, 1) for variant in found), "a small model has one, others the floor's"
    with torch.no_grad():
        for variant in track(found, console=console, description="settling"):
            with variant.target.computing():
                for _ in range(_SETTLE):
                    variant.frame()
        for variant in found:
            variant.seconds.clear()
        turn = list(found)
        for _ in track(range(frames), console=console, description="measuring"):
            order.shuffle(turn)
            for variant in turn:
                reads.append(memory.nbytes / memory.read())
                with variant.target.computing():
                    variant.frame()
    return reads


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="2b", choices=("nano", *SHAPES))
    parser.add_argument("--variants", nargs="+", default=DEFAULT, metavar="VARIANT", help=" ".join(DEFAULT))
    parser.add_argument("--frames", type=int, default=10, help="of each variant (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console()
    found = variants(arguments.shape, arguments.variants)
    reads = measure(found, arguments.frames, console)
    bandwidth = statistics.median(reads)
    rows = [_row(variant, bandwidth) for variant in found]
    console.print(
        f"{arguments.shape}: {torch.get_num_threads()} threads read {bandwidth / 1e9:.1f} GB a second; "
        f"{arguments.frames} frames of each variant, in turn; medians"
    )
    table = Table(
        "variant", "GB a frame", "ms a frame", "first half", "second half", "GB a second", "share of the floor"
    )
    for row in rows:
        table.add_row(
            row["variant"],
            f"{row['bytes'] / 1e9:.3f}",
            f"{row['ms']:.1f}",
            f"{row['first_ms']:.1f}",
            f"{row['second_ms']:.1f}",
            f"{row['gb_a_second']:.1f}",
            f"{row['share']:.0%}",
        )
    console.print(table)
    for line in choices(found):
        console.print(line, soft_wrap=True)
    facts = {"shape": arguments.shape, "threads": torch.get_num_threads(), "read_gb_a_second": bandwidth / 1e9}
    keep(console, f"frame_{arguments.shape}", facts | {"frames": arguments.frames, "rows": rows})


def _row(variant: Variant, bandwidth: float) -> dict[str, Any]:
    spent, first, second = (statistics.median(times) for times in zip(*variant.seconds, strict=True))
    return {
        "variant": variant.name,
        "bytes": variant.bytes,
        "ms": 1000 * spent,
        "first_ms": 1000 * first,
        "second_ms": 1000 * second,
        "gb_a_second": variant.bytes / spent / 1e9,
        "share": variant.bytes / spent / bandwidth,
        "resident": variant.target.weight_bytes,
        "products": variant.target.products,
    }


def choices(found: list[Variant]) -> list[str]:
    """A line for each variant with int8 weights: what they are multiplied by, and what is in memory."""
    plain = {name: v.target.weight_bytes for v in found if v.target.products is None for name in [v.name.split("+")[0]]}
    lines = []
    for variant in found:
        dtype, *options = variant.name.split("+")
        products, size = variant.target.products, variant.target.weight_bytes
        if products is None:
            continue
        kernel = "compiled sums" if "compile" in options and not unpacked(products) else products
        share = f" ({size / plain[dtype]:.3f} of those of {dtype})" if dtype in plain else ""
        memory = "not quantised in memory" if unpacked(products) else "quantised in memory"
        lines.append(f"{variant.name}: products by {kernel}; {size / 1e9:.3f} GB of weights resident{share}, {memory}")
    return lines


if __name__ == "__main__":
    main()
