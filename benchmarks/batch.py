"""What a batch saves: frames a second by the number of rows, beside a run alone and what the machine can do.

    python benchmarks/batch.py [--shape nano|300m|1b|2b] [--dtype float32|bfloat16] [--rows 1 2 4 8 16]
                               [--guided | --unguided] [--ways compiled eager] [--fill 500] [--frames 4] [--rounds 9]
                               [--tokens]

In a round everything is timed once, in an order that changes: some frames of a run alone, compiled and eager; as many
of each batch; a read of a large tensor; square products of each dtype that the weights have. A figure is the median of
the rounds with a 95 % interval (fewer than six rounds: all of their range), a ratio the median of those of each round.
What is compiled is compiled before the first round. Weights of all shapes but nano are random.

Frames alone are timed: caches are filled with noise up to `--fill` calls, no prefix is read and no sound decoded,
whatever the shape. All rows are in the batch from the first frame to the last.

Of the peak: the time of a frame's products with weights at the rate of the square products, over that of the frame;
attention's own products are left out. Of the floor: the time of reading the weights of a frame, as often as a stage
takes them, at the rate of the read, over that of the frame; more than 100 % where caches of the processor keep some.
“With caches” adds the keys and values that the lanes of all rows have made so far.

`--tokens` also compares each row of the largest batch of whole runs with its single run (nano only): one that parts
from it tells at which draw, and how much rounding had to move there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from batch_frames import SETTLE
from batch_measurement import WAYS, Measurement
from batch_tokens import partings, told
from report import keep
from rich.console import Console
from rich.table import Table
from rounds import spelled
from shapes import SHAPES, runtime

from dia2 import Dia2, GenerationConfig, UsageError
from dia2.common.wording import counted
from dia2.runtime.graphs import check_compiler


def described(given: argparse.Namespace, threads: int | None, machine: dict[str, Any]) -> list[str]:
    """What was measured, and what the machine can do."""
    branches = "guided" if given.guided else "unguided"
    turns = f"{counted(given.rounds, 'round')} of {counted(given.frames, 'frame')} from call {given.fill} on"
    peaks = ", ".join(f"{value.text(0)} GFLOP/s of {dtype}" for dtype, value in machine["peak_gflops"].items())
    return [
        f"{given.shape}, {given.dtype}, {branches}: {turns}; frames alone, no prefix and no decoding; medians",
        f"threads: {threads}; at most {peaks}; {machine['read_gb_a_second'].text(1)} GB/s read",
        f"a frame reads {machine['weight_bytes_a_frame'] / 1e9:.3f} GB of weights",
    ]


def tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """How fast, and against what."""
    speed = Table("", "ms a frame", "frames a second", "seconds of sound a second")
    limits = Table("", *(f"× alone, {way}" for way in rows[0]["times_alone"]), "of the peak", "floor", "with caches")
    for row in rows:
        speed.add_row(
            row["name"],
            row["ms"].text(1),
            row["frames_a_second"].text(1),
            f"{row['audio_seconds_a_second'].middle:.2f}",
        )
        shares = (row[name].middle for name in ("of_peak", "of_floor", "of_floor_with_caches"))
        times = (value.text(2) for value in row["times_alone"].values())
        limits.add_row(row["name"], *times, *(f"{value:.0%}" for value in shares))
    return [speed, limits]


def ways_here(console: Console) -> list[str]:
    """`WAYS`, as far as this machine can compile."""
    try:
        check_compiler(True, torch.device("cpu"))
    except UsageError as error:
        console.print(f"nothing is compiled: {error}")
        return ["eager"]
    return list(WAYS)


def parsed() -> argparse.Namespace:
    """What was asked for.

    Raises:
        SystemExit: it cannot be had.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="nano", choices=("nano", *SHAPES))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    guidance = parser.add_mutually_exclusive_group()
    guidance.add_argument("--guided", action="store_true", default=True, help="two branches a row (the default)")
    guidance.add_argument("--unguided", dest="guided", action="store_false", help="one branch a row")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, help="to compute batches")
    parser.add_argument("--fill", type=int, default=500, help="calls in the caches (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=4, help="a round and variant (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--tokens", action="store_true", help="compare whole runs of nano as well")
    given = parser.parse_args()
    if min(given.fill // 2, given.frames, given.rounds, *given.rows) < 1:
        parser.error("there is nothing to measure: numbers are from 1, and --fill from 2")
    if given.tokens and given.shape != "nano":
        parser.error("--tokens is for nano: random weights say nothing that could be compared")
    return given


def main() -> None:
    """Print the tables, keep the JSON."""
    given, console = parsed(), Console()
    ways, target = ways_here(console), runtime(given.shape, getattr(torch, given.dtype))
    most = target.config.runtime.max_context_steps - SETTLE - given.frames
    if given.fill > most:
        raise SystemExit(f"A context of this shape has room for --fill {most} at most.")
    measurement = Measurement(target, given, ways)
    measurement.run(console)
    rows, machine = [measurement.row(variant) for variant in measurement.variants], measurement.machine()
    for line in described(given, target.threads, machine):
        console.print(line, soft_wrap=True)
    for table in tables(rows):
        console.print(table)
    facts = {name: getattr(given, name) for name in ("shape", "dtype", "guided", "fill", "frames", "rounds")}
    facts |= {"threads": target.threads} | spelled(machine) | {"rows": [spelled(row) for row in rows]}
    if given.tokens:
        facts["tokens"] = {
            way: compared(measurement.config(way), given, way, console) for way in ways if way in given.ways
        }
    keep(console, f"batch_{given.shape}_{given.dtype}" + ("" if given.guided else "_unguided"), facts)


def compared(config: GenerationConfig, given: argparse.Namespace, way: str, console: Console) -> list[str]:
    """Print and return whether rows have the tokens of their single runs."""
    options = {"cfg_scale": config.cfg_scale, "use_torch_compile": config.use_torch_compile}
    found = partings(Dia2.nano(dtype=given.dtype), max(given.rows), options)
    for line in told(found):
        console.print(f"{way}: {line}", soft_wrap=True)
    return found


if __name__ == "__main__":
    main()
