"""Mutation testing: change one operator of the code, run the tests beside it, and list the changes that none noticed.

    python -m tests.support.mutants [PACKAGE …] [--sample N] [--seed S …] [--jobs J] [--out FILE.json]

The changes are cosmic-ray's; where several can be made at one place, one is drawn. What differs in annotations and
docstrings alone is no mutant. Before any of them each file of tests of the package runs once, to see how long it takes
and which lines it reaches. A mutant is then tried in a copy of the tree, by a fork of a process that has imported the
libraries already, with those files that reach its line: the ones named after its module first, then the quickest.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
COPIED = ("dia", "dia2", "docs", "tests", "training", "benchmarks", "pyproject.toml")
INSPECT = "dia2/inspect/"
# For each package its sources, and the tests that run besides those that are named after its modules.
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
            *(
                "tests/inspect/test_console_diff.py",
                "tests/inspect/dia/test_diff.py",
                "tests/inspect/dia/test_watch.py",
            ),
            *("tests/inspect/dia/test_findings.py", "tests/inspect/test_docs.py", "tests/test_hooks.py"),
            *("tests/inspect/test_survival.py",),
        ),
    ),
    "draws": (
        (f"{INSPECT}record/draws.py", f"{INSPECT}schema/draw.py", "dia2/adapter/draws.py"),
        ("tests/inspect/test_draws.py", "tests/inspect/test_conformance.py", "tests/inspect/test_explorer.py"),
    ),
    "dia": (("dia", "dia/adapter"), ("tests/dia", "tests/inspect/dia/test_conformance.py")),
}
ONLOOKERS = frozenset({"tests/test_frozen.py", "tests/inspect/test_docs.py"})  # look at modules without using them
PATIENCE = 5.0  # a mutant may take so many times what the tests take without it
# The libraries are imported before pytest could rewrite their assertions, of which it warns.
QUIETLY = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:nbval", "-m", "not slow"]
QUIETLY += ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-o", "timeout=0"]  # there is a limit of its own
LEAST = 60.0  # seconds, at the least
LONGEST = 3600.0  # seconds that one file of tests may take without any
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


def outcome(tree: Path, tests: Sequence[str], limit: float, reached: Path | None = None) -> Outcome:
    """Run tests in a fork of this process: whether one failed, or they took longer than `limit` seconds.

    Args:
        tree: a copy of the tree to run them in.
        tests: files.
        limit: seconds.
        reached: a file for the lines that they reach, as JSON: by path from the tree.
    """
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
        with watching(tree, reached):
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


@contextmanager
def watching(tree: Path, reached: Path | None) -> Iterator[None]:
    """Write to `reached`, if there is one, which lines of the packages have run in this block."""
    if reached is None:
        yield
        return
    from coverage import Coverage

    watch = Coverage(data_file=None, config_file=False, include=[str(tree / name / "*") for name in ("dia", "dia2")])
    watch.start()
    try:
        yield
    finally:
        watch.stop()
        data = watch.get_data()
        lines = {str(Path(file).relative_to(tree)): sorted(data.lines(file) or ()) for file in data.measured_files()}
        reached.write_text(json.dumps(lines), encoding="utf-8")


@dataclass(frozen=True)
class Survey:
    """What the tests of a package do without any mutant, by file."""

    seconds: dict[str, float]
    reached: dict[str, dict[str, set[int]]]  # lines by path of a module

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Files that reach its line: first those that are named after its module, then the quickest."""
        own, tree = own_tests(mutant.path), ast.parse((ROOT / mutant.path).read_text(encoding="utf-8"))
        functions = lines_of_functions(tree)
        if mutant.line in functions:
            found, wanted = set[str](), lines_of_statement(tree, mutant.line)
        else:  # it runs whenever the module is imported, and matters to who uses the module
            found, wanted = {*own, *ONLOOKERS} & self.seconds.keys(), functions or {mutant.line}
        found |= {test for test, lines in self.reached.items() if not wanted.isdisjoint(lines.get(mutant.path, ()))}
        return sorted(found, key=lambda test: (test not in own, self.seconds[test]))


def lines_of_functions(tree: ast.Module) -> set[int]:
    """Lines that run only when a function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {line for node in functions for line in range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)}


def lines_of_statement(tree: ast.Module, line: int) -> set[int]:
    """Lines of the statement at a line; of a compound one those before its body."""
    spans: list[range] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line:
            body: list[ast.stmt] = getattr(node, "body", [])
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            spans.append(range(node.lineno, max(end, node.lineno + 1)))
    around = [span for span in spans if line in span]
    narrowest = max(around, key=lambda span: span.start) if around else range(line, line + 1)
    return set(narrowest)


def tests_of(package: str) -> list[str]:
    """Files of tests: those that the package names, and those that are named after its modules."""
    found = [ROOT / name for name in PACKAGES[package][1]]
    files = [file for place in found for file in ([place] if place.suffix else place.rglob("test_*.py"))]
    own = [test for path in sources(package) for test in own_tests(str(path.relative_to(ROOT)))]
    return sorted({*own, *(str(file.relative_to(ROOT)) for file in files)})


class Bench:
    """Copies of the tree to run tests in."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            tree = folder / str(job)
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, tree)
            self._free.put(tree)

    @contextmanager
    def _tree(self) -> Iterator[Path]:
        tree = self._free.get()
        try:
            yield tree
        finally:
            self._free.put(tree)

    def measured(self, test: str) -> tuple[float, dict[str, list[int]]] | None:
        """Seconds that a file of tests takes without any mutant, and the lines that it reaches; `None`: one fails."""
        with self._tree() as tree:
            began, report = time.monotonic(), tree / "reached.json"
            if outcome(tree, [test], LONGEST, report) != "passed":
                return None
            return time.monotonic() - began, json.loads(report.read_text(encoding="utf-8"))

    def noticed(self, survey: Survey, mutant: Mutant) -> Outcome:
        """What the tests that reach a mutant say of it; `passed`: no test notices."""
        tests = survey.tests_of(mutant)
        limit = max(LEAST, PATIENCE * sum(survey.seconds[test] for test in tests))
        with self._tree() as tree:
            file = tree / mutant.path
            whole = file.read_text(encoding="utf-8")
            try:
                file.write_text(mutant.code, encoding="utf-8")
                return outcome(tree, tests, limit) if tests else "passed"
            finally:
                file.write_text(whole, encoding="utf-8")


class Surveyor:
    """Runs files of tests without any mutant, and knows it of those that were run before and have not changed."""

    def __init__(self, bench: Bench, kept: Path | None) -> None:
        """Note in which file it is kept; `None`: in none."""
        self._bench, self._kept, self._lock = bench, kept, threading.Lock()
        self._known = json.loads(kept.read_text(encoding="utf-8")) if kept is not None and kept.exists() else {}
        code = [path for name in ("dia", "dia2", "tests/support") for path in sorted((ROOT / name).rglob("*.py"))]
        self._code = b"".join(path.read_bytes() for path in code if path != Path(__file__))

    def survey(self, package: str, pool: ThreadPoolExecutor) -> Survey:
        """What the tests of a package do.

        Raises:
            SystemExit: some fail; names the files.
        """
        tests = tests_of(package)
        failed = [test for test, well in zip(tests, pool.map(self._measure, tests), strict=True) if not well]
        if failed:
            raise SystemExit(f"Without any mutant tests fail in {', '.join(failed)}.")
        reached = {test: self._known[test]["reached"] for test in tests}
        return Survey(
            {test: self._known[test]["seconds"] for test in tests},
            {test: {path: set(lines) for path, lines in paths.items()} for test, paths in reached.items()},
        )

    def _measure(self, test: str) -> bool:
        """Know what a file of tests does; whether all in it passes."""
        key = hashlib.sha256(self._code + (ROOT / test).read_bytes()).hexdigest()
        if self._known.get(test, {}).get("key") == key:
            return True
        found = self._bench.measured(test)
        if found is not None:
            with self._lock:
                self._known[test] = {"key": key, "seconds": found[0], "reached": found[1]}
                if self._kept is not None:
                    self._kept.write_text(json.dumps(self._known), encoding="utf-8")
        return found is not None


def preload() -> None:
    """Import once what every fork needs; the project itself is imported by each fork anew."""
    import torch

    for name in ("numpy", "soundfile", "soxr", "safetensors.torch", "hypothesis", "nbformat", "whisper"):
        importlib.import_module(name)
    importlib.import_module("transformers").AutoTokenizer  # noqa: B018  # imported when it is asked for
    torch.set_num_threads(1)


def table(tried: Counter[str], survived: Counter[str], late: Counter[str]) -> Table:
    """The score of each sample, and how many of what was noticed were so by the clock alone."""
    shown = Table("sample", "mutants", "noticed", "timed out", "score")
    for sample in tried:
        noticed = tried[sample] - survived[sample]
        shown.add_row(*map(str, (sample, tried[sample], noticed, late[sample])), f"{noticed / tried[sample]:.0%}")
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Try mutants, print the survivors and what timed out as they are found, and the scores."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--sample", type=int, default=60, help="mutants of each package; 0 for all (default: 60)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="a sample each (default: 0)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="survivors as JSON")
    parser.add_argument("--survey", type=Path, metavar="FILE.json", help="keep what tests reach, for the next time")
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
        surveyor = Surveyor(bench, args.survey)
        for package in args.packages or PACKAGES:
            survey = surveyor.survey(package, pool)
            for seed in args.seed:
                sample = f"{package}, seed {seed}"
                chosen = list(islice(mutants(package, random.Random(seed)), args.sample or None))
                for mutant, found in zip(chosen, pool.map(partial(bench.noticed, survey), chosen), strict=True):
                    tried[sample] += 1
                    survived[sample] += found == "passed"
                    late[sample] += found == "timed out"
                    if found != "failed":
                        told = " (timed out)" if found == "timed out" else ""
                        console.print(f"{mutant.path}:{mutant.line} {mutant.operator}{told}", markup=False)
                        console.print(f"  - {mutant.before}\n  + {mutant.after}", markup=False)
                    if found == "passed":
                        fields = asdict(mutant) | {"seed": seed}
                        del fields["code"]
                        left.append(fields)
                    if args.out:
                        args.out.write_text(json.dumps({"tried": tried, "survivors": left}, indent=1) + "\n")
    console.print(table(tried, survived, late))
    return 0


if __name__ == "__main__":
    sys.exit(main())
