"""The extension, as Python sees it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from .build import library


@cache
def extension() -> Any:
    """Load it, once a process; from then on torch's dispatcher has kernels for CUDA."""
    loader = importlib.machinery.ExtensionFileLoader("_fakecuda", str(library()))
    spec = importlib.util.spec_from_loader("_fakecuda", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


Kernels = Counter[str]  # launches, by the operation's name without its namespace and overload


@contextmanager
def counted() -> Iterator[Kernels]:
    """What the block launches, a capture's kernels included and replays not, is in the counter when the block ends."""
    before, kernels = Counter(extension().launched()), Kernels()
    yield kernels
    kernels.update(short(Counter(extension().launched()) - before))


def short(names: Counter[str]) -> Kernels:
    """The same without `aten::`."""
    return Kernels({name.removeprefix("aten::"): count for name, count in names.items()})


def take_problems() -> list[str]:
    """What went wrong since the last call without an error, as it would on a GPU."""
    problems: list[str] = extension().take_problems()
    return problems


def limit_memory(size: int | None) -> None:
    """From now on a device has `size` bytes, or as many as there are."""
    extension().limit_memory(size or 0)
