"""Triton's kernels on a CPU: interpreted, which `tests/core/test_kernels.py` says before Triton is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

if os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob = ["test_*.py"]
else:
    from triton.runtime import interpreter

_ready = set[Any]()


def _call(function: Any, *args: Any, **options: Any) -> Any:
    """A function that a kernel calls. Triton prepares its language anew for each, which takes ten times as long."""
    if function.fn not in _ready:
        _ready.add(function.fn)
        interpreter._patch_lang(function.fn)
    return function.rewrite()(*args, **options)


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", _call)
    with torch.no_grad():
        yield
