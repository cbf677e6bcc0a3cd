"""What activations cost: reading all residuals of a recorded run, and a frame with edits and without.

    python benchmarks/activations.py --quick
    python benchmarks/activations.py [--shape nano|300m|1b|2b] [--layers N] [--calls 256] [--rounds 5] [--frames 100]
    git worktree add ../before main && python benchmarks/activations.py --against ../before

Reading: a run of random weights is recorded, and replayed with all residuals into a file, into memory, and with nothing
read; the three take turns. Memory is the largest that a replay was resident in, above the same replay with nothing
read, for half of the calls and for all: reading is bounded where the second is no larger than the first.

Frames: a process for each code holds runs open, and gives one frame after the other when asked, in an order that
changes. With `--against`, a checkout of before, its frame without edits is compared with the one of now; ratios compare
neighbours in time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from report import keep
from rich.console import Console
from rich.table import Table
from rounds import Spread, in_rounds, spelled, spread
from shapes import SHAPES, open_run, runtime

from dia2 import Dia2, GenerationConfig, analysis
from dia2.adapter.activations import streamed
from dia2.adapter.looking import Looker
from dia2.adapter.trace import Dia2Trace
from dia2.common.hooks import observing
from dia2.inspect import Recorder
from dia2.runtime.context import RuntimeContext

POINTS = "act.*.resid"
EDITED = ("one steered", "all steered", "one clamped")  # variants of a frame; see activations_child.py
_SETTLE = 3  # frames before the clock counts


def recorded(target: RuntimeContext, calls: int, folder: Path) -> Dia2Trace:
    """A run of so many calls."""
    recorder = Recorder(folder / "run.dia2trace", level="tokens")
    with target.computing(), observing(recorder):
        frames = open_run(target, GenerationConfig(seed=1, cfg_scale=2.0))
        for _ in range(calls):
            next(frames)
        frames.close()
    recorder.close("interrupted")
    return Dia2Trace.load(folder / "run.dia2trace")


class Reading:
    """Replays of one run, each with its time and its memory."""

    def __init__(self, target: RuntimeContext, trace: Dia2Trace, folder: Path) -> None:
        self._target, self._trace, self._file = target, trace, folder / "acts.safetensors"
        self._tts = Dia2.nano(device=target.device, dtype=target.dtype)
        self._tts._runtime = target  # random weights, which no file has

    def nothing(self, calls: int) -> None:
        """A replay alone."""
        with self._target.computing():
            for _ in streamed(self._target, self._trace, range(calls), Looker([])):
                pass

    def into_a_file(self, calls: int) -> None:
        """All residuals, into a file."""
        analysis.activations(self._trace, self._tts, POINTS, range(calls), into=self._file)

    def into_memory(self, calls: int) -> None:
        """All residuals, into arrays."""
        analysis.activations(self._trace, self._tts, POINTS, range(calls))

    def bytes_a_call(self) -> float:
        """Of the file that was written last, for the calls in it."""
        return self._file.stat().st_size / len(analysis.load_activations(self._file).calls)

    def rows(self, rounds: int, console: Console) -> dict[str, Any]:
        """Milliseconds a call, in turn; bytes a call; bytes of memory, by calls."""
        count = len(self._trace)
        works = {"nothing": self.nothing, "into a file": self.into_a_file, "into memory": self.into_memory}

        def timed(work: Callable[[int], None]) -> Callable[[], float]:
            def once() -> float:
                began = time.perf_counter()
                work(count)
                return 1000 * (time.perf_counter() - began) / count

            return once

        for work in works.values():
            work(min(count, 8))  # settle
        taken = in_rounds({name: timed(work) for name, work in works.items()}, rounds, console)
        more = {name: [b - a for a, b in zip(taken["nothing"], taken[name], strict=True)] for name in works}
        own = {}
        for calls in (count // 2, count):
            alone = peak(partial(self.nothing, calls))
            own[str(calls)] = {
                name: peak(partial(works[name], calls)) - alone for name in ("into a file", "into memory")
            }
        return {
            "ms_a_call": {name: spread(times) for name, times in taken.items()},
            "more_ms_a_call": {name: spread(times) for name, times in more.items() if name != "nothing"},
            "bytes_a_call": self.bytes_a_call(),
            "own_peak_bytes": own,
        }


def peak(work: Callable[[], None]) -> int:
    """The most bytes that this process was resident in while it worked; Linux alone tells."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the mark falls to what is resident now
    work()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


class Code:
    """A process that imports one code, and gives frames of it."""

    def __init__(self, root: Path, given: argparse.Namespace, variants: tuple[str, ...]) -> None:
        here = Path(__file__).parent
        command = [sys.executable, str(here / "activations_child.py"), given.shape, given.dtype, str(given.layers or 0)]
        environment = os.environ | {"PYTHONPATH": str(root)}
        self._child = subprocess.Popen(  # noqa: S603  # our own script
            [*command, *variants], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=root
        )
        assert self._child.stdout is not None, "a pipe, as asked for"
        if self._child.stdout.readline().strip() != str(root / "dia2"):
            raise SystemExit(f"{root} has no package dia2 that can be imported: give the root of a checkout.")

    def frame(self, variant: str) -> float:
        """Milliseconds of one frame more of a variant."""
        assert self._child.stdin is not None, "a pipe, as asked for"
        assert self._child.stdout is not None, "likewise"
        self._child.stdin.write(variant + "\n")
        self._child.stdin.flush()
        return 1000 * float(self._child.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._child.communicate()


def frames(given: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Milliseconds of a frame by variant, and its ratio to the frame without edits of this code."""
    codes = {"now": Code(Path(__file__).parents[1].resolve(), given, ("plain", *EDITED))}
    if given.against is not None:
        codes["before"] = Code(given.against.resolve(), given, ("plain",))
    works: dict[str, Callable[[], float]] = {"without edits": partial(codes["now"].frame, "plain")}
    works |= {name: partial(codes["now"].frame, name) for name in EDITED}
    if "before" in codes:
        works["before"] = partial(codes["before"].frame, "plain")
    try:
        for work in works.values():
            for _ in range(_SETTLE):
                work()
        taken = in_rounds(works, given.frames, console)
    finally:
        for code in codes.values():
            code.close()
    base = taken["without edits"]
    ratios = {
        name: spread([b / a for a, b in zip(base, times, strict=True)])
        for name, times in taken.items()
        if times is not base
    }
    return {"ms": {name: spread(times) for name, times in taken.items()}, "ratio": ratios}


def main(arguments: list[str] | None = None) -> None:
    """Print both tables, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="2b", choices=("nano", *SHAPES))
    parser.add_argument("--layers", type=int, help="of the shape, so many alone; a call's bytes go with them")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--calls", type=int, default=256, help="of the run that is read (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of replays (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=100, help="of each variant; 0: none (default: %(default)s)")
    parser.add_argument("--against", type=Path, help="the root of a checkout of before")
    parser.add_argument(
        "--quick", action="store_true", help="of nano, so little that it measures nothing: does it run?"
    )
    given = parser.parse_args(arguments)
    if given.quick:
        given.shape, given.calls, given.rounds, given.frames = "nano", 12, 2, 2
    console = Console()
    if given.layers and given.shape in SHAPES:
        SHAPES[given.shape]["layers"] = given.layers
    folder = Path(tempfile.mkdtemp(prefix="dia2-activations-"))
    try:
        target = runtime(given.shape, getattr(torch, given.dtype))
        read = Reading(target, recorded(target, given.calls, folder), folder).rows(given.rounds, console)
        layers = target.config.model.decoder.n_layer
        del target  # the processes have weights of their own
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(f"{given.shape}, {layers} layers, {given.dtype}, guidance on, {given.calls} calls")
    table = Table(
        "all residuals",
        "ms a call",
        "more than nothing",
        *(f"MB of its own, {n} calls" for n in read["own_peak_bytes"]),
    )
    for name, taken in read["ms_a_call"].items():
        more = read["more_ms_a_call"].get(name)
        own = (f"{by[name] / 1e6:,.1f}" if name in by else "" for by in read["own_peak_bytes"].values())
        table.add_row(name, taken.text(2), more.text(2) if more else "", *own)
    console.print(table, f"{read['bytes_a_call'] / 1e3:,.1f} KB a call")
    facts: dict[str, Any] = {"shape": given.shape, "layers": layers, "dtype": given.dtype, "calls": given.calls}
    if given.frames:
        facts["frames"] = frames(given, console)
        table = Table("a frame", "ms", "× without edits")
        for name, taken in facts["frames"]["ms"].items():
            ratio: Spread | None = facts["frames"]["ratio"].get(name)
            table.add_row(name, taken.text(2), ratio.text(4) if ratio else "")
        console.print(table)
    keep(
        console,
        "activations_quick" if given.quick else f"activations_{given.shape}_{given.dtype}",
        spelled(facts | {"reading": read}),
    )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
