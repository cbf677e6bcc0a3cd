"""Mutation testing: change one operator of the code, run the tests beside it, and list the changes that none noticed.

    python -m tests.support.mutants [PACKAGE …] [--sample N] [--seed S] [--jobs J] [--out FILE.json]

The changes are cosmic-ray's; where several can be made at one place, one is drawn. Each is tried in a copy of the tree
by a fork of a process that has imported the libraries already: first with the tests of that module, and what survives
them with those of its package. What differs in annotations and docstrings alone is no mutant.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
COPIED = ("dia", "dia2", "tests", "training", "benchmarks", "pyproject.toml")
INSPECT = "dia2/inspect/"
# For each package its sources, and the tests that run when the module's own have not noticed.
PACKAGES = {
    "core": (("dia2/core",), ("tests/core", "tests/runtime/test_sampler.py", "tests/test_conformance.py")),
    "audio": (("dia2/audio", "dia2/audio/mimi"), ("tests/audio",)),
    "runtime": (("dia2/runtime",), ("tests/runtime", "tests/test_conformance.py", "tests/test_streaming.py")),
    "store": (
        (*(f"{INSPECT}{room}" for room in ("schema", "store", "trace", "record")), "dia2/adapter/recording.py"),
        (
            *("tests/inspect/test_recorder.py", "tests/inspect/test_hostile.py", "tests/inspect/test_conformance.py"),
            *("tests/inspect/test_console_declared.py", "tests/inspect/test_declared_recording.py"),
            *("tests/inspect/test_pipeline.py", "tests/inspect/test_families.py", "tests/inspect/test_fork.py"),
            *(
                "tests/inspect/test_explorer_messages.py",
                "tests/inspect/test_tables.py",
                "tests/inspect/test_explorer.py",
            ),
            *("tests/test_frozen.py", "tests/inspect/test_notes.py", "tests/inspect/test_view_draws.py"),
            *("tests/inspect/test_console_frame.py", "tests/inspect/test_console_frames.py"),
            *("tests/inspect/test_recordings.py", "tests/inspect/test_stretches.py", "tests/inspect/test_surprise.py"),
            *("tests/inspect/test_view_pipeline.py", "tests/inspect/test_view_shades.py", "tests/inspect/test_tour.py"),
            *("tests/inspect/test_view_signals.py", "tests/inspect/test_drift.py", "tests/inspect/test_view_fit.py"),
            *("tests/inspect/test_manifest.py", "tests/inspect/test_shards.py", "tests/inspect/test_writer.py"),
        ),
    ),
    "draws": (
        (f"{INSPECT}record/draws.py", f"{INSPECT}schema/draw.py", "dia2/adapter/draws.py"),
        ("tests/inspect/test_draws.py", "tests/inspect/test_conformance.py", "tests/inspect/test_explorer.py"),
    ),
    "dia": (("dia", "dia/adapter"), ("tests/dia", "tests/inspect/dia/test_conformance.py")),
}
PATIENCE = 5.0  # a mutant may take so many times what the tests take without it
# The libraries are imported before pytest could rewrite their assertions, of which it warns.
QUIETLY = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval", "-m", "not slow"]
QUIETLY += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
LEAST = 60.0  # seconds, at the least
Outcome = Literal["passed", "failed", "timed out"]


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    package: str
    path: str  # of the file, from the root
    line: int
    operator: str
    before: str  # the changed line
    after: str
    code: str  # the whole file

    @property
    def tests(self) -> list[tuple[str, ...]]:
        """What is run, one after the other, until something fails."""
        stages = [own_tests(self.path), PACKAGES[self.package][1]]
        return [stage for stage in stages if stage]


@cache
def own_tests(path: str) -> tuple[str, ...]:
    """The test files that are named after a module."""
    parts = Path(path).with_suffix("").parts
    folders = {  # where tests do not mirror the packages room by room
        "dia2/inspect": "tests/inspect",
        "dia2/adapter": "tests/inspect",
        "dia/adapter": "tests/inspect/dia",
        "dia": "tests/dia",
    }
    home = next((name for name in folders if path.startswith(f"{name}/")), None)
    folder = ROOT / (folders[home] if home else Path("tests", *parts[1:-1]))
    found = sorted(folder.glob(f"test_{parts[-1]}*.py"))
    return tuple(str(file.relative_to(ROOT)) for file in found)


def sources(package: str) -> list[Path]:
    """The package's modules."""
    found = [ROOT / name for name in PACKAGES[package][0]]
    return sorted(file for place in found for file in ([place] if place.suffix else place.glob("*.py")))


def meaning(code: str) -> str:
    """The syntax tree, without what computes nothing: annotations and docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, ast.Constant(None))
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [x for x in body if not isinstance(getattr(x, "value", None), ast.Constant)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def mutants(package: str, chance: random.Random) -> Iterator[Mutant]:
    """A mutant for each place of the package that can be changed, in random order."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    # The replacer of exceptions fails on those that are named with a dot.
    operators = [(name, get_operator(name)) for name in operator_names() if "ExceptionReplacer" not in name]
    operators = [(name, kind()) for name, kind in operators if not kind.arguments()]
    places: dict[tuple[Path, tuple[int, int]], list[tuple[str, int]]] = {}
    texts = {path: path.read_text(encoding="utf-8") for path in sources(package)}
    for path, text in texts.items():
        nodes = list(ast_nodes(get_ast(text)))
        for name, operator in operators:
            found = (start for node in nodes for start, _ in operator.mutation_positions(node))
            for occurrence, start in enumerate(found):
                places.setdefault((path, start), []).append((name, occurrence))
    order = sorted(places)
    chance.shuffle(order)
    known = dict(operators)
    for path, start in order:
        name, occurrence = chance.choice(places[path, start])
        text = texts[path]
        code = mutate_code(text, known[name], occurrence)
        try:
            if code is None or meaning(code) == meaning(text):
                continue
        except SyntaxError:
            continue
        line = start[0] - 1
        before, after = text.splitlines()[line].strip(), code.splitlines()[line].strip()
        where = str(path.relative_to(ROOT))
        yield Mutant(package, where, line + 1, name.removeprefix("core/"), before, after, code)


def outcome(tree: Path, tests: Sequence[str], limit: float) -> Outcome:
    """Run tests in a fork of this process: whether one failed, or they took longer than `limit` seconds."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)  # for processes that tests start
        sys.path[:] = [str(tree), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.split(".")[0] in ("dia", "dia2", "tests", "training")]:
            del sys.modules[name]
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        code = pytest.main([*QUIETLY, *tests])
        os._exit(int(code) & 0xFF)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            well = os.waitstatus_to_exitcode(status) in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            return "passed" if well else "failed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timed out"


class Bench:
    """Copies of the tree to try mutants in, and how long their tests take without one."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        self._limits: dict[tuple[str, ...], float] = {}
        for job in range(jobs):
            tree = folder / str(job)
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, tree)
            self._free.put(tree)

    def limit(self, tests: tuple[str, ...]) -> float:
        """Seconds after which a mutant counts as noticed; the tests must pass without one."""
        if tests not in self._limits:
            tree, began = self._free.get(), time.monotonic()
            found = outcome(tree, tests, 1200)
            self._free.put(tree)
            if found != "passed":
                raise SystemExit(f"Without any mutant these tests fail: {' '.join(tests)}")
            self._limits[tests] = max(LEAST, PATIENCE * (time.monotonic() - began))
        return self._limits[tests]

    def noticed(self, mutant: Mutant) -> Outcome:
        """What the tests say of it; `passed`: no test notices."""
        tree = self._free.get()
        file = tree / mutant.path
        whole = file.read_text(encoding="utf-8")
        try:
            file.write_text(mutant.code, encoding="utf-8")
            found = (outcome(tree, tests, self._limits[tests]) for tests in mutant.tests)
            return next((one for one in found if one != "passed"), "passed")
        finally:
            file.write_text(whole, encoding="utf-8")
            self._free.put(tree)


def preload() -> None:
    """Import once what every fork needs; the project itself is imported by each fork anew."""
    import torch

    for name in ("numpy", "soundfile", "soxr", "safetensors.torch", "hypothesis", "nbformat", "whisper"):
        importlib.import_module(name)
    importlib.import_module("transformers").AutoTokenizer  # noqa: B018  # imported when it is asked for
    torch.set_num_threads(1)


def table(tried: Counter[str], survived: Counter[str], late: Counter[str]) -> Table:
    """The score of each package, and how many of what was noticed were so by the clock alone."""
    shown = Table("package", "mutants", "noticed", "timed out", "score")
    for package in tried:
        noticed = tried[package] - survived[package]
        shown.add_row(*map(str, (package, tried[package], noticed, late[package])), f"{noticed / tried[package]:.0%}")
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Try mutants, print the survivors and what timed out as they are found, and the scores."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--sample", type=int, default=60, help="mutants of each package; 0 for all (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="survivors as JSON")
    args = parser.parse_args(argv)
    if unknown := set(args.packages) - set(PACKAGES):
        parser.error(f"there is no package {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    console = Console(soft_wrap=True, highlight=False)
    tried, survived, late = Counter[str](), Counter[str](), Counter[str]()
    left: list[dict[str, object]] = []
    preload()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        bench = Bench(Path(folder), args.jobs)
        for package in args.packages or PACKAGES:
            chosen = list(mutants(package, random.Random(args.seed)))[: args.sample or None]
            for tests in {tests for mutant in chosen for tests in mutant.tests}:
                bench.limit(tests)
            for mutant, found in zip(chosen, pool.map(bench.noticed, chosen), strict=True):
                tried[package] += 1
                survived[package] += found == "passed"
                late[package] += found == "timed out"
                if found != "failed":
                    told = " (timed out)" if found == "timed out" else ""
                    console.print(f"{mutant.path}:{mutant.line} {mutant.operator}{told}", markup=False)
                    console.print(f"  - {mutant.before}\n  + {mutant.after}", markup=False)
                if found == "passed":
                    fields = asdict(mutant)
                    del fields["code"]
                    left.append(fields)
                if args.out:
                    args.out.write_text(json.dumps({"tried": tried, "survivors": left}, indent=1) + "\n")
    console.print(table(tried, survived, late))
    return 0


if __name__ == "__main__":
    sys.exit(main())
