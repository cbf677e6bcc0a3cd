"""The examples of docs/reading-activations.md run, one after the other."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from training.sae import SaeRecipe, train_on

from ..support.reference import engine
from .runs import CHECKPOINT, runs

PAGE = Path(__file__).parents[2] / "docs" / "reading-activations.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for number, trace in enumerate(runs()):
        (tmp_path / "runs" / f"{number}.dia2trace").symlink_to(trace.path)
    sae = train_on(runs()[:2], engine(CHECKPOINT), "act.1.resid", SaeRecipe(features=16, k=2, steps=20))
    sae.save(tmp_path / "sae.safetensors")
    space = {"tts": engine(CHECKPOINT)}
    for code in examples():
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, space)
        assert "print(" not in code or said.getvalue().strip()
    assert len(examples()) == 12
    assert (tmp_path / "acts.safetensors").is_file()
