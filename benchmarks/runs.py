"""How soon a stream is heard, and whether memory stays where it is from run to run.

    python benchmarks/runs.py [--shape nano|300m|1b|2b] [--dtype float32|bfloat16] [--runs 10] [--frames 8]

First audio: from calling `stream` to the first chunk, over the time of as many frames as the largest delay, which no
stream can beat; the frames after it tell how long one takes. nano alone has a voice worth waiting for, so this is
measured with it whatever the shape. Memory: what the process is resident in after each of some runs of the main loop,
each with tensors and caches of its own.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from statistics import median

import torch
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import open_run, runtime

from dia2 import Dia2, GenerationConfig
from dia2.common.memory import resident_bytes

_LONG = "[S1] Hello there. How are you today? [S2] Not too bad, thank you. And you?"


def first_audio(runs: int) -> list[float]:
    """Seconds until the first chunk over those of max-delay frames, for some seeds; the first run is not counted."""
    tts = Dia2.nano()
    delay = max(tts.runtime.audio_delays)
    found = []
    for seed in range(runs + 1):
        began = time.perf_counter()
        stream = tts.stream(_LONG, seed=seed)
        next(stream)
        heard = time.perf_counter()
        chunks = sum(1 for _ in islice(stream, 40))
        frame = (time.perf_counter() - heard) / chunks
        stream.close()
        found.append((heard - began) / (delay * frame))
    return found[1:]


def resident(shape: str, dtype: torch.dtype, runs: int, frames: int, console: Console) -> list[int]:
    """Bytes after each run."""
    target = runtime(shape, dtype)
    found = []
    for seed in track(range(runs), console=console, description="running"):
        with target.computing():
            loop = open_run(target, GenerationConfig(seed=seed))
            for _ in range(frames):
                next(loop)
            loop.close()
        del loop
        found.append(resident_bytes() or 0)
    return found


def main() -> None:
    """Print the figures, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="nano", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--runs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--frames", type=int, default=8, help="of each (default: %(default)s)")
    given = parser.parse_args()
    console = Console()
    heard = first_audio(given.runs)
    bytes_held = resident(given.shape, getattr(torch, given.dtype), given.runs, given.frames, console)
    table = Table("figure", given.shape)
    table.add_row("first audio, × max-delay frames", f"{median(heard):.2f} ({min(heard):.2f} … {max(heard):.2f})")
    for number, size in enumerate(bytes_held, 1):
        table.add_row(f"MB resident after run {number}", f"{size / 1e6:,.1f}")
    console.print(table)
    content = {"shape": given.shape, "dtype": given.dtype, "frames": given.frames}
    figures = {"first_audio": heard, "resident_bytes": bytes_held}
    keep(console, f"runs_{given.shape}_{given.dtype}", content | figures)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
