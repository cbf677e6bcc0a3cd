"""A release is whole: an sdist whose tests run, a wheel that works by itself; and the workflow of hosted CI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import dia2

from .support.distributions import ROOT, clean_environment, environment, listing, pip, project_files

NAME = f"dia2_inspect-{dia2.__version__}"
# Quick ones of every folder of tests: among them those that read docs, reference numbers, and the lists of this file.
SOME_TESTS = [
    *("test_packaging.py", "test_docs_site.py", "test_did_you_mean.py", "audio/test_grid.py", "core/test_quantize.py"),
    *("dia/test_text.py", "inspect/test_docs.py", "inspect/test_manifest.py", "runtime/test_guidance.py"),
    "training/test_streams.py",
]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it has to succeed, and say nothing on standard error."""
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=500)
    assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# Without building


def test_an_sdist_holds_the_project_and_a_wheel_its_packages(tmp_path: Path) -> None:
    sources, packaged = listing(tmp_path)
    expected = project_files()
    assert sources - {"setup.cfg"} == expected - {"setup.cfg"}, "MANIFEST.in says what an sdist holds"
    assert packaged == {path for path in expected if path.startswith(("dia/", "dia2/"))}
    nano = "runtime/nano"
    for needed in (f"{nano}/model.safetensors", f"{nano}/sample.dia2trace/manifest.json", "py.typed"):
        assert f"dia2/{needed}" in packaged
    assert {"constraints.txt", "LICENSE", "tests/conftest.py", "tests/conformance/tiny3/config.json"} <= sources


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == dia2.__version__


def test_hosted_ci_does_what_ci_does() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert {"push", "pull_request"} == workflow[True].keys()  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert job["runs-on"].startswith("ubuntu-")
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    steps = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert steps[-1]["run"] == "bash .ci/run"
    assert "secrets." not in str(workflow)


# What is built


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from a copy of the project's files: the wheel from the sdist."""
    project = tmp_path_factory.mktemp("project")
    for path in project_files():
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(project / "dist"), str(project)]
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL, timeout=200)
    return project / "dist"


@pytest.mark.slow
def test_the_archives_hold_what_is_listed(built: Path, tmp_path: Path) -> None:
    sources, packaged = listing(tmp_path)
    assert {path.name for path in built.iterdir()} == {f"{NAME}.tar.gz", f"{NAME}-py3-none-any.whl"}
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        held = {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}
    made = {path for path in held if path.startswith("dia2_inspect.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert held - made == sources - {"setup.cfg"}
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if not name.startswith(f"{NAME}.dist-info/")} == packaged
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    told = run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()), cwd=tmp_path)
    assert told.count("PASSED") == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_works_with_what_it_declares_alone(built: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "clean", built / f"{NAME}-py3-none-any.whl")
    pip(python, "check")

    def say(program: str, *arguments: str | Path) -> str:
        return run(python.with_name(program), *arguments, cwd=tmp_path)

    assert say("python", "-c", "from importlib.util import find_spec; print(find_spec('pytest'))") == "None\n"
    sample = Path(say("python", "-c", "import dia2.inspect; print(dia2.inspect.sample().path)").strip())
    assert sample.is_relative_to(tmp_path / "clean")
    assert say("dia2", "--version") == f"dia2 {dia2.__version__}\n"
    assert "usage: dia2 " in say("dia2", "--help")
    assert "usage: dia " in say("dia", "--help")
    assert "Build timestamps" in say("dia2", "trace", "show", sample, "--no-times")
    say("dia2", "trace", "html", sample, "-o", "sample.html")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = readme.partition("## In Python\n\n```python\n")[2].partition("```")[0]
    assert say("python", "-c", example).startswith("torch.Size([")
    say("dia", "generate", "[S1] Hello.", "-o", "noise.wav", "--seed", "1", "--max-tokens", "60", "--quiet")
    assert "<script" in (tmp_path / "sample.html").read_text(encoding="utf-8")
    assert min((tmp_path / name).stat().st_size for name in ("hello.wav", "noise.wav")) > 2000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tests_of_an_unpacked_sdist_run(built: Path, tmp_path: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / NAME
    assert run(sys.executable, "-c", "import dia2; print(dia2.__path__[0])", cwd=unpacked).strip() == f"{unpacked}/dia2"
    options = ("-q", "-m", "not slow", "-p", "no:nbval", "-p", "no:cacheprovider", "-p", "no:xdist")
    command = (sys.executable, "-m", "pytest", *options)
    told = run(*command, *(f"tests/{name}" for name in SOME_TESTS), cwd=unpacked)
    assert re.search(r"\b\d{3} passed", told), told
    assert "skipped" not in told
    collected = run(*command, "--collect-only", cwd=unpacked)  # every file of tests finds what it imports and reads
    assert re.search(r"^\d{4}(/\d+)? tests collected", collected, flags=re.MULTILINE), collected[-2000:]
