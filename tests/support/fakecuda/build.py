"""Compiles the extension, once for a torch and its source: `python -m tests.support.fakecuda`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import torch

SOURCE = Path(__file__).parent / "src"
_COMPILERS = ("c++", "g++", "clang++")


@cache
def library() -> Path:
    """Where the extension for this torch and this source is, or is to be: in the environment that this Python is of."""
    key = hashlib.sha256(f"{torch.__version__} {sys.version}".encode())
    for path in sorted(SOURCE.iterdir()):
        key.update(path.read_bytes())
    return Path(sys.prefix) / "fakecuda" / f"_fakecuda-{key.hexdigest()[:16]}.so"


def compiler() -> str | None:
    """The system's C++ compiler, if it has one."""
    return next(
        (found for name in (os.environ.get("CXX"), *_COMPILERS) if name and (found := shutil.which(name))), None
    )


def cannot_be_built() -> str | None:
    """Why there can be no such device here; `None` if there can."""
    if sys.platform != "linux":
        return "the pretended CUDA device is for Linux"
    if torch.version.cuda is not None or torch.version.hip is not None:
        return "this torch has CUDA of its own"
    if compiler() is None and not library().exists():
        return "there is no C++ compiler: install g++"
    return None


def reason_to_skip() -> str | None:
    """Why there is no such device here; `None` if there is one."""
    if library().exists():
        return None
    return cannot_be_built() or "the pretended CUDA device is not built: make .venv/.fakecuda"


def build() -> None:
    """Compile it, unless it is there; only where it can be built.

    Raises:
        RuntimeError: the compiler fails.
    """
    target, cxx = library(), compiler()
    if target.exists():
        return
    assert cxx is not None
    target.parent.mkdir(exist_ok=True)
    root = Path(torch.__file__).parent
    includes = [root / "include", root / "include/torch/csrc/api/include", sysconfig.get_paths()["include"]]
    part = target.with_suffix(f".{os.getpid()}")
    command = [
        *(cxx, "-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-DTORCH_EXTENSION_NAME=_fakecuda"),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        *(f"-I{path}" for path in includes),
        *(str(SOURCE / "module.cpp"), "-o", str(part)),
        *(f"-L{root / 'lib'}", "-ltorch_cpu", "-lc10", "-ltorch_python"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{cxx} cannot compile {SOURCE}:\n{done.stderr[-4000:]}")
    part.replace(target)
