"""What a command imports before it answers: each library that it does not need is a part of the first second.

Times are the business of `benchmarks/startup.py`. Here each command runs in a process of its own, which tells what it
has imported by its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from dia2.runtime.assets import nano_folder

HEAVY = {  # libraries, and parts of torch, whose import takes 10 ms or more
    *("IPython", "PIL", "anywidget", "filelock", "httpx", "httpx2", "huggingface_hub", "ipywidgets"),
    *("jinja2", "matplotlib", "msgspec", "numba", "numpy", "pyarrow", "regex", "requests", "rich"),
    *("safetensors", "scipy", "soundfile", "soxr", "sympy", "tiktoken", "tokenizers", "torch"),
    *("torch._dynamo", "torch._export", "torch._functorch", "torch._inductor"),
    *("torch.distributed", "torch.export", "torch.onnx", "transformers", "triton", "whisper", "yaml"),
}
SAMPLE = str(nano_folder() / "sample.dia2trace")
RUN = """
import sys
told, module, *sys.argv[1:] = sys.argv[1:]
from importlib import import_module
try:
    code = import_module(module).main()
except SystemExit as end:
    code = end.code or 0
with open(told, "w", encoding="utf-8") as file:
    print(code, *sys.modules, sep="\\n", file=file)
"""


def child(*arguments: str, folder: Path) -> None:
    """Run Python on this tree; what it prints is shown where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def imported_by(folder: Path, package: str, *arguments: str, ends: int = 0) -> set[str]:
    """Names of all modules that a command line has imported at its end."""
    told = folder / "modules.txt"
    child("-c", RUN, str(told), f"{package}.__main__", *arguments, folder=folder)
    code, *names = told.read_text(encoding="utf-8").splitlines()
    assert int(code) == ends
    return set(names)


@cache
def torch_brings() -> frozenset[str]:
    """What `import torch` imports by itself, in this version of it."""
    code = "import sys, torch; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return frozenset(done.stdout.splitlines())


def not_of_python(names: set[str]) -> set[str]:
    """Modules of ours and of libraries; Python's own differ from version to version."""
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names and "editable" not in name}


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("dia2", ["--help"]),
        ("dia2", ["--version"]),
        ("dia2", ["generate", "--help"]),
        ("dia2", ["voice", "--help"]),
        ("dia2", ["trace", "--help"]),
        ("dia2", ["trace", "frames", "--help"]),
        ("dia", ["--help"]),
        ("dia", ["generate", "--help"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_help_needs_no_library(tmp_path: Path, package: str, arguments: list[str]) -> None:
    names = imported_by(tmp_path, package, *arguments)
    assert names & HEAVY == set()
    assert len(not_of_python(names)) <= 30, sorted(not_of_python(names))


@pytest.mark.parametrize(
    "arguments",
    [["genrate", "x.wav"], ["trace", "shwo", "x"], ["trace", "frames", "x", "--call", "one"], ["x.wav", "--sead", "1"]],
    ids=" ".join,
)
def test_what_is_mistyped_needs_rich_alone(tmp_path: Path, arguments: list[str]) -> None:
    assert imported_by(tmp_path, "dia2", *arguments, ends=2) & HEAVY == {"rich"}


@pytest.mark.parametrize("view", ["show", "frames", "grid", "hooks", "prefix"])
def test_a_trace_is_shown_without_a_model(tmp_path: Path, view: str) -> None:
    names = imported_by(tmp_path, "dia2", "trace", view, SAMPLE)
    judged = {"soundfile"} if view == "show" else set()  # whether what was made sounds as it should
    assert names & HEAVY - judged <= {"msgspec", "numpy", "rich", "safetensors"}
    assert len(not_of_python(names)) <= 360, sorted(not_of_python(names))


def test_the_embedded_checkpoint_speaks_by_torch_and_little_else(tmp_path: Path) -> None:
    names = imported_by(tmp_path, "dia2", "generate", "word.wav", "--nano", "--input", "[S1] Hi.", "--seed", "1")
    assert (tmp_path / "word.wav").stat().st_size > 1000
    beyond = names - torch_brings()
    assert beyond & HEAVY <= {"numpy", "rich", "safetensors", "soundfile", "tokenizers"}
    assert len(not_of_python(beyond)) <= 230, sorted(not_of_python(beyond))
    torchs = {name for name in beyond if name.startswith("torch.")}
    assert len(torchs) <= 5, sorted(torchs)


def test_a_stream_is_heard_without_what_prints(tmp_path: Path) -> None:
    code = (
        "import sys; from dia2 import Dia2\n"
        "stream = Dia2.nano().stream('[S1] Hi.', seed=1); chunk = next(stream); stream.close()\n"
        f"assert len(chunk.waveform), chunk\nfound = set(sys.modules) & {HEAVY!r}\n"
        f"found -= {set(torch_brings() & HEAVY)!r} | {{'numpy', 'safetensors', 'soundfile', 'tokenizers'}}\n"
        "assert not found, found"
    )
    child("-c", code, folder=tmp_path)


def test_importing_a_package_brings_nothing(tmp_path: Path) -> None:
    for package in ("dia2", "dia"):
        child("-c", f"import sys, {package}; assert not set(sys.modules) & {HEAVY!r}", folder=tmp_path)


# The collector of garbage

COLLECTOR = """
import gc, sys
from dia2.common.terminal import collector
from dia2.common.terminal.command import Job, run_command
seen = []
def parse(arguments):
    seen.append(gc.isenabled())
    return Job(work, "")
def work():
    collector.resume()
    seen.append(gc.isenabled() and gc.get_freeze_count() > 1000)
    return 0
assert run_command("dia2", {argv}, parse) == 0
assert seen == {seen}, seen
assert gc.isenabled() is {after} and (gc.get_freeze_count() > 1000) is {frozen}, gc.get_freeze_count()
"""


@pytest.mark.parametrize(
    ("before", "argv", "seen", "after", "frozen"),
    [
        ("", None, [False, True], True, True),  # a process of the command's own
        ("", [], [True, False], True, False),  # a caller's
        ("import gc; gc.disable()", None, [False, False], False, False),  # whoever disabled it wants it so
    ],
    ids=["a command", "called from Python", "disabled by who started it"],
)
def test_a_command_collects_nothing_while_it_imports(
    tmp_path: Path, before: str, argv: list[str] | None, seen: list[bool], after: bool, frozen: bool
) -> None:
    code = COLLECTOR.format(argv=argv, seen=seen, after=after, frozen=frozen)
    child("-c", f"{before}\n{code}", folder=tmp_path)
