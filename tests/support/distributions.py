"""What a release consists of: the files of sdist and wheel, and an environment of a wheel and what it requires."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

# setuptools is asked in a process of its own, as it changes the one that imports it. Nothing is built or written here.
_LISTING = """
import json, sys, setuptools
project = setuptools.setup(script_args=["--quiet", "egg_info", "--egg-base", sys.argv[1]])
packages = project.get_command_obj("build_py")
packages.ensure_finalized()
sources = project.get_command_obj("egg_info").filelist.files
print(json.dumps([sources, list(packages.get_output_mapping().values())]))
"""


def listing(scratch: Path) -> tuple[set[str], set[str]]:
    """The files that setuptools would put into an sdist, and of these the ones for a wheel; made metadata left out."""
    command = [sys.executable, "-c", _LISTING, str(scratch)]
    told = subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE, timeout=60).stdout
    sources, packaged = json.loads(told)
    return {path for path in sources if not Path(path).is_absolute()}, set(packaged)


def project_files() -> set[str]:
    """The files of the project: what git tracks or would, in an unpacked sdist what that says it holds."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        found = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
        return {path for path in found if path and (ROOT / path).exists()}
    held = (ROOT / "dia2_inspect.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
    return {path for path in held if not path.startswith("dia2_inspect.egg-info/")}


def environment() -> dict[str, str]:
    """This process's environment, less what would let another one import from a folder that it does not name itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def clean_environment(folder: Path, wheel: Path) -> Path:
    """A virtual environment of the wheel and what it requires, extras left out; returns its Python.

    Nothing is downloaded: requirements are links to what this process imports, one for each file or folder at the top
    of a distribution. So what the project forgets to declare cannot be imported there.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    pip(python, "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for required in _closure(Distribution.at(next(site.glob("dia2_inspect-*.dist-info")))):
        for name in {path.parts[0] for path in required.files or ()} - {"..", "__pycache__"}:
            link = site / name
            if not link.exists():
                link.symlink_to(str(required.locate_file(name)))
    return python


def pip(python: Path, *arguments: str) -> None:
    """Run this environment's pip for another one."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python)]
    subprocess.run([*command, *arguments], env=environment(), check=True, timeout=120)


def _requirements(project: Distribution, extras: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """What a distribution asks for on this machine, with some of its extras."""
    for requirement in map(Requirement, project.requires or ()):
        marker = requirement.marker
        if not marker or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def _closure(project: Distribution) -> list[Distribution]:
    """What a distribution requires, what that requires, and so on."""
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    waiting = list(_requirements(project))
    while waiting:
        requirement = waiting.pop()
        asked = requirement.name, frozenset(requirement.extras)
        if asked not in found:
            found[asked] = distribution(requirement.name)
            waiting.extend(_requirements(found[asked], asked[1]))
    return list(found.values())
