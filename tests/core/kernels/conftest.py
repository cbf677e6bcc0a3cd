"""Triton's kernels on a CPU: interpreted, which has to be said before Triton, and the kernels, are imported."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

_THERE = importlib.util.find_spec("triton") is not None
if not _THERE:  # it has wheels for Linux alone
    collect_ignore_glob = ["test_*.py"]
else:
    _before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    from triton.runtime import interpreter

    from dia2.core.kernels import draw, stacks  # noqa: F401  # which import all others

    if _before is None:
        del os.environ["TRITON_INTERPRET"]  # processes that tests start are not told


_ready = set[Any]()


def _call(function: Any, *args: Any, **options: Any) -> Any:
    """A function that a kernel calls. Triton prepares its language anew for each, which takes ten times as long."""
    if function.fn not in _ready:
        _ready.add(function.fn)
        interpreter._patch_lang(function.fn)
    return function.rewrite()(*args, **options)


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", _call)
    with torch.no_grad():
        yield
