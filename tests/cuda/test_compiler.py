"""What `use_torch_compile` needs on a GPU is asked for before anything is compiled."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import nullcontext

import pytest
import torch

from dia2 import UsageError
from dia2.runtime.graphs import check_compiler


@pytest.mark.parametrize(
    ("triton", "capability", "compiler", "said"),
    [
        (
            None,
            (9, 0),
            "gcc",
            r"torch\.compile on CUDA needs Triton, and there is none: pip install triton, or leave --tor",
        ),
        (
            "it",
            (6, 1),
            "gcc",
            r"needs compute capability 7\.0, and this GPU has 6\.1: take another device, or leave --tor",
        ),
        (
            "it",
            (9, 0),
            None,
            r"needs a C compiler for Triton, and there is none: install gcc, or leave --torch-compile",
        ),
        ("it", (7, 0), "gcc", None),
    ],
)
def test_what_is_missing_is_named(
    triton: str | None,
    capability: tuple[int, int],
    compiler: str | None,
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: triton)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == compiler else None)
    monkeypatch.delenv("CC", raising=False)
    with nullcontext() if said is None else pytest.raises(UsageError, match=said):
        check_compiler(True, torch.device("cuda"))
    check_compiler(False, torch.device("cuda"))
