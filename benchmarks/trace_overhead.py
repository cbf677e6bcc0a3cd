"""What tracing costs: a frame with tracing off and at every level, against a build without seams.

    python benchmarks/trace_overhead.py [--shape nano|300m|1b|2b] [--rounds 30]

The baseline is the runtime's own main loop with every hook statement taken out of its source. All variants take
turns, in an order that changes each round, on one engine in one process: a ratio compares neighbours in time.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import results_folder, runtime

from dia2 import GenerationConfig
from dia2.hooks import observing
from dia2.inspect import Recorder, load
from dia2.runtime import frame, generator, graphs
from dia2.runtime.script_parser import parse_script
from dia2.runtime.session import open_session

SCRIPT = "[S1] " + " ".join(["Hello there, how are you today?"] * 60)
SEAMS = {"taps", "log", "choices", "seen", "progress"}
LEVELS = ("tokens", "topk", "full")


class _WithoutSeams(ast.NodeTransformer):
    """Takes out what serves observers and edits only."""

    def visit_If(self, node: ast.If) -> Any:
        return None if _tests_seam(node.test) else self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> Any:
        self.generic_visit(node)
        only_seams = not node.handlers and not node.finalbody
        return node.body if only_seams or not (node.handlers or node.orelse or node.finalbody) else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return None if isinstance(node.target, ast.Name) and node.target.id in SEAMS else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.decorator_list = [
            decorator
            for decorator in node.decorator_list
            if not (isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "phase")
        ]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        return node.args[2] if getattr(node.func, "id", "") == "_unless_forced" else node


def _tests_seam(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id in SEAMS
        and isinstance(test.ops[0], ast.IsNot)
    )


def without_seams() -> Callable[..., Any]:
    """`generate_frames` of a build that cannot be observed."""
    built: dict[str, Any] = {}
    for module in (frame, graphs, generator):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        tree = ast.fix_missing_locations(_WithoutSeams().visit(ast.parse(source)))
        bare = ModuleType(f"bare_{module.__name__}")
        bare.__dict__["__name__"] = module.__name__
        exec(compile(tree, f"{module.__name__} without seams", "exec"), bare.__dict__)  # noqa: S102  # our own source
        bare.__dict__.update(
            {name: built[name] for name in ("first_half", "second_half", "make_runner") if name in built}
        )
        built |= {
            name: bare.__dict__[name] for name in ("first_half", "second_half", "make_runner") if name in bare.__dict__
        }
    text = ast.unparse(ast.parse(Path(str(generator.__file__)).read_text(encoding="utf-8")))
    assert "log.begin()" in text, "the baseline would be the build itself"
    loop: Callable[..., Any] = bare.__dict__["generate_frames"]
    return loop


class Variant:
    """One way to run the main loop, kept open so that rounds go on where the last one stopped."""

    def __init__(
        self, name: str, loop: Callable[..., Any], target: Any, config: GenerationConfig, folder: Path
    ) -> None:
        self.name, self.path = name, folder / f"{name}.dia2trace"
        self._recorder = Recorder(self.path, level=name) if name in LEVELS else None
        entries = parse_script([SCRIPT], target.encode, target.constants, target.frame_rate)
        with observing(self._recorder):  # the loop looks for an observer once, when it begins
            session = open_session(target, config, None, entries)
            self._frames = loop(target, config, session.state, session.gen, start_step=0)
            next(self._frames)

    def run(self, frames: int) -> float:
        """Seconds for that many frames more."""
        began = time.perf_counter()
        for _ in range(frames):
            next(self._frames)
        return time.perf_counter() - began

    def close(self) -> None:
        """End the trace."""
        self._frames.close()
        if self._recorder is not None:
            self._recorder.close("interrupted")


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="300m", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--frames", type=int, help="a round (default: 12, nano 20)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    frames = arguments.frames or (20 if arguments.shape == "nano" else 12)
    console = Console()
    target = runtime(arguments.shape, getattr(torch, arguments.dtype))
    parameters = sum(parameter.numel() for parameter in target.model.parameters())
    console.print(
        f"{arguments.shape}: {parameters:,} parameters, {arguments.dtype}, {len(target.audio_delays)} codebooks, "
        f"guidance on, {arguments.rounds} rounds of {frames} frames"
    )
    folder = Path(tempfile.mkdtemp(prefix="dia2-overhead-"))
    try:
        rows = measure(target, arguments.rounds, frames, folder, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = Table(
        "variant", "ms a frame (median)", "ratio to the baseline", "95 % upper bound", "ms a frame more", "bytes a call"
    )
    for row in rows:
        bound = f"{row['more_ms']:+.3f} (≤ {row['more_ms_upper']:+.3f})"
        table.add_row(
            row["variant"],
            f"{row['ms']:.2f}",
            f"{row['ratio']:.4f}",
            f"{row['upper']:.4f}",
            bound,
            str(row["bytes"] or ""),
        )
    console.print(table)
    facts = {"shape": arguments.shape, "parameters": parameters, "dtype": arguments.dtype, "rounds": arguments.rounds}
    path = results_folder() / f"trace_overhead_{arguments.shape}_{arguments.dtype}.json"
    path.write_text(json.dumps(facts | {"frames": frames, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def measure(target: Any, rounds: int, frames: int, folder: Path, console: Console) -> list[dict[str, Any]]:
    """All variants, interleaved."""
    config = GenerationConfig(seed=1)
    bare = without_seams()
    order = random.Random(0)  # noqa: S311  # shuffles rounds
    names = ["without seams", "off", *LEVELS]
    with target.computing():
        variants = {
            name: Variant(name, bare if name == "without seams" else generator.generate_frames, target, config, folder)
            for name in names
        }
        for variant in variants.values():
            variant.run(frames)  # settle
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in track(range(rounds), console=console, description="measuring"):
            turn = names.copy()
            order.shuffle(turn)
            for name in turn:
                seconds[name].append(variants[name].run(frames) / frames)
        for variant in variants.values():
            variant.close()
    return [_row(name, seconds, variants[name]) for name in names]


def _row(name: str, seconds: dict[str, list[float]], variant: Variant) -> dict[str, Any]:
    base, mine = seconds["without seams"], seconds[name]
    ratios = [math.log(a / b) for a, b in zip(mine, base, strict=True)]
    more = [1000 * (a - b) for a, b in zip(mine, base, strict=True)]
    return {
        "variant": name,
        "ms": 1000 * statistics.median(mine),
        "ratio": math.exp(statistics.fmean(ratios)),
        "upper": math.exp(_upper(ratios)),
        "more_ms": statistics.fmean(more),
        "more_ms_upper": _upper(more),
        "bytes": _bytes_a_call(variant.path) if variant.path.exists() else None,
    }


def _upper(values: list[float]) -> float:
    """Upper end of the two-sided 95 % interval of the mean (normal approximation; 30 rounds or more)."""
    return statistics.fmean(values) + 1.96 * statistics.stdev(values) / math.sqrt(len(values))


def _bytes_a_call(path: Path) -> int:
    shards = sum(file.stat().st_size for file in path.glob("frames-*.safetensors"))
    return round(shards / len(load(path)))


if __name__ == "__main__":
    main()
