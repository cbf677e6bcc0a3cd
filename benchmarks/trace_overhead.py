"""What tracing costs: a frame with tracing off and at every level, against a build without seams.

    python benchmarks/trace_overhead.py [--shape nano|300m|1b|2b] [--frames 400] [--levels tokens topk full]

The baseline is the runtime's own main loop with every hook statement taken out of its source. All variants take
turns frame by frame, in an order that changes, on one engine in one process: a difference compares neighbours in time.

A variant's cost is the median of those differences, which a disturbed frame cannot move, and on top of it the mean time
in the recorder itself, which comes in lumps (batches, shards) that a median would not see. Intervals are by bootstrap.
"""

from __future__ import annotations

import argparse
import ast
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from report import keep
from rich.console import Console
from rich.progress import track
from rich.table import Table
from shapes import open_run, runtime

from dia2 import GenerationConfig
from dia2.common.hooks import observing
from dia2.inspect import Recorder, load
from dia2.inspect.record import recorder
from dia2.runtime import capture as buffers
from dia2.runtime import frame, generator, graphs

SEAMS = {"capture", "log", "choices", "seen", "progress"}
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


class _Clock:
    """Time spent in the recorder."""

    def __init__(self) -> None:
        self.seconds = 0.0
        take = Recorder.frames

        def timed(recorder: Recorder, frames: Any) -> None:
            began = time.perf_counter()
            take(recorder, frames)
            self.seconds += time.perf_counter() - began

        Recorder.frames = timed  # type: ignore[method-assign]  # for this process only


_RECORDER = _Clock()


class Variant:
    """One way to run the main loop, kept open so that rounds go on where the last one stopped."""

    def __init__(
        self, name: str, loop: Callable[..., Any], target: Any, config: GenerationConfig, folder: Path
    ) -> None:
        self.name, self.path = name, folder / f"{name}.dia2trace"
        self._loop, self._target, self._config = loop, target, config
        self._recorder: Recorder | None = None
        self._begin()

    def _begin(self) -> None:
        """A new run, when the old one has used up its context."""
        if self.name in LEVELS:
            self._recorder = Recorder(self.path, level=self.name)  # type: ignore[arg-type]  # one of them
        with observing(self._recorder):  # the loop looks for an observer once, when it begins
            self._frames = open_run(self._target, self._config, self._loop)
            next(self._frames)
        self._left = self._target.config.runtime.max_context_steps - 1

    def frame(self) -> tuple[float, float]:
        """Seconds for one frame more: without the recorder's own time, and that time."""
        if not self._left:
            self.close()
            self._begin()
        self._left -= 1
        recorded, began = _RECORDER.seconds, time.perf_counter()
        next(self._frames)
        spent, lump = time.perf_counter() - began, _RECORDER.seconds - recorded
        return spent - lump, lump

    def close(self) -> None:
        """End the trace."""
        self._frames.close()
        if self._recorder is not None:
            self._recorder.close("interrupted")


def main() -> None:
    """Print the table, keep the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="300m", choices=("nano", "300m", "1b", "2b"))
    parser.add_argument("--frames", type=int, help="of each variant (default: 400, nano 2000)")
    parser.add_argument("--levels", nargs="+", default=["topk"], choices=LEVELS, help="levels to measure")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    frames = arguments.frames or (2000 if arguments.shape == "nano" else 400)
    console = Console()
    target = runtime(arguments.shape, getattr(torch, arguments.dtype))
    parameters = sum(parameter.numel() for parameter in target.model.parameters())
    console.print(
        f"{arguments.shape}: {parameters:,} parameters, {arguments.dtype}, {len(target.audio_delays)} codebooks, "
        f"guidance on, {frames} frames of each variant"
    )
    folder = Path(tempfile.mkdtemp(prefix="dia2-overhead-"))
    try:
        rows = measure(target, arguments.levels, frames, folder, console)
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
            f"{row['ratio_upper']:.4f}",
            bound,
            str(row["bytes"] or ""),
        )
    console.print(table)
    facts = {"shape": arguments.shape, "parameters": parameters, "dtype": arguments.dtype, "frames": frames}
    keep(console, f"trace_overhead_{arguments.shape}_{arguments.dtype}", facts | {"rows": rows})


def measure(target: Any, levels: list[str], frames: int, folder: Path, console: Console) -> list[dict[str, Any]]:
    """All variants, interleaved."""
    config = GenerationConfig(seed=1)
    bare = without_seams()
    order = random.Random(0)  # noqa: S311  # shuffles turns
    names = ["without seams", "off", *levels]
    # The clocks of these two run while the others have their turn, too.
    buffers.LATEST *= len(names)
    recorder.SHARD_SECONDS *= len(names)
    with target.computing():
        variants = {
            name: Variant(name, bare if name == "without seams" else generator.generate_frames, target, config, folder)
            for name in names
        }
        for variant in variants.values():
            for _ in range(10):  # settle
                variant.frame()
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        turn = names.copy()
        for _ in track(range(frames), console=console, description="measuring"):
            order.shuffle(turn)
            for name in turn:
                seconds[name].append(variants[name].frame())
        for variant in variants.values():
            variant.close()
    return [_row(name, seconds, variants[name]) for name in names]


def _row(name: str, seconds: dict[str, list[tuple[float, float]]], variant: Variant) -> dict[str, Any]:
    base = 1000 * np.array([own for own, _ in seconds["without seams"]])
    mine = 1000 * np.array([own for own, _ in seconds[name]])
    lumps = 1000 * np.array([lump for _, lump in seconds[name]])
    more = float(np.median(mine - base) + lumps.mean())
    upper = _upper(mine - base, lumps)
    typical = float(np.median(base))
    return {
        "variant": name,
        "ms": float(np.median(mine) + lumps.mean()),
        "more_ms": more,
        "more_ms_upper": upper,
        "ratio": 1 + more / typical,
        "ratio_upper": 1 + upper / typical,
        "bytes": _bytes_a_call(variant.path) if variant.path.exists() else None,
    }


def _upper(differences: np.ndarray, lumps: np.ndarray) -> float:
    """Upper end of the 95 % interval of median difference plus mean lump, by bootstrap."""
    draw = np.random.default_rng(0)
    picks = draw.integers(len(differences), size=(2000, len(differences)))
    totals = np.median(differences[picks], axis=1) + lumps[picks].mean(axis=1)
    return float(np.quantile(totals, 0.975))


def _bytes_a_call(path: Path) -> int:
    shards = sum(file.stat().st_size for file in path.glob("frames-*.safetensors"))
    return round(shards / len(load(path)))


if __name__ == "__main__":
    main()
