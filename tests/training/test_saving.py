"""A state on disk: whole or as before, in little memory, at little cost, and nothing left of what was killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dia2.common.errors import Dia2Error
from tests.support.disk import files_up_to
from training.saving import State, state_bytes


def made(size: int = 40, folder: Path | None = None) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(size, size)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(size)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_state_comes_back(tmp_path: Path) -> None:
    model, optimizer = made()
    State(tmp_path, model).save(optimizer, {"step": 3, "history": [{"step": 1.0}]})
    other = nn.Linear(40, 40)
    fresh = torch.optim.AdamW(other.parameters())
    assert State(tmp_path, other).restore(fresh) == {"step": 3, "history": [{"step": 1.0}]}
    assert torch.equal(model.weight, other.weight)
    for one, two in zip(optimizer.state.values(), fresh.state.values(), strict=True):
        assert torch.equal(one["exp_avg_sq"], two["exp_avg_sq"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.pt"]
    assert State(tmp_path / "none", other).restore(fresh) == {}


def test_a_full_disk_is_one_sentence_and_the_state_before_stays(tmp_path: Path) -> None:
    model, optimizer = made()
    state = State(tmp_path, model)
    state.save(optimizer, {"step": 1})
    before = (tmp_path / "state.pt").read_bytes()
    with (
        files_up_to(9000),
        pytest.raises(Dia2Error, match=r"could not be written .*: free some space; the state before is kept"),
    ):
        state.save(optimizer, {"step": 2})
    assert (tmp_path / "state.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_the_disk_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer = made()
    needed = 3 * 4 * (40 * 40 + 40) + 8
    for free, fits in ((needed - 9, False), (needed, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        if fits:
            State(tmp_path, model).save(optimizer, {"step": 1})
        else:
            with pytest.raises(
                Dia2Error, match=r"it takes 0 MB, and 0 MB are free\): free some space; nothing is kept"
            ):
                State(tmp_path, model).save(optimizer, {"step": 1})
    assert (tmp_path / "state.pt").exists()


def test_training_goes_on_where_a_save_in_between_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer = made()
    with files_up_to(9000):
        State(tmp_path, model).try_to_save(optimizer, {"step": 1})
    said = capsys.readouterr().err
    assert said.startswith("warning: ")
    assert said.endswith("nothing is kept yet. Training goes on.\n")


def test_what_a_killed_save_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".dia2-0123456789abcdef", ".dia2-0123456789abcde", ".dia2-0123456789abcdeg", "state.pt", "notes"):
        (tmp_path / name).write_bytes(b"x")
    State(tmp_path, nn.Linear(1, 1))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".dia2-0123456789abcde", ".dia2-0123456789abcdeg", "state.pt", "notes"}


def test_saves_take_a_fiftieth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    model, optimizer = made()
    state = State(tmp_path, model)
    now[0] += 30.1
    assert state.due()
    real = torch.save

    def slow(*given: Any) -> None:
        real(*given)
        now[0] += 5.0

    monkeypatch.setattr(torch, "save", slow)
    state.save(optimizer, {"step": 1})
    for later, due in ((0.0, False), (31.0, False), (249.0, False), (251.0, True)):
        now[0] = 135.1 + later
        assert state.due() is due, later


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 500])
def test_what_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    model, optimizer = made()
    with pytest.raises(Dia2Error, match="is not the state of such a run"):
        State(tmp_path, model).restore(optimizer)


class _Evil:
    def __reduce__(self) -> Any:
        return print, ("unpickled",)


def test_no_code_of_a_state_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, optimizer = made()
    torch.save({"model": _Evil()}, tmp_path / "state.pt")
    with pytest.raises(Dia2Error, match="is not the state of such a run"):
        State(tmp_path, model).restore(optimizer)
    assert capsys.readouterr().out == ""


def test_what_a_state_takes_on_disk_is_known(tmp_path: Path) -> None:
    model, optimizer = made(300)
    State(tmp_path, model).save(optimizer, {"step": 1})
    trained = sum(p.numel() for p in model.parameters())
    assert state_bytes(trained) == pytest.approx((tmp_path / "state.pt").stat().st_size, rel=0.01)


MEMORY = """
import sys, torch
from pathlib import Path
from torch import nn
from dia2.common.memory import forget_peak_host_bytes, peak_host_bytes, resident_bytes
from training.saving import State
model = nn.Linear(4000, 4000)
optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
model(torch.ones(4000)).sum().backward()
optimizer.step()
model.zero_grad()
state = State(Path(sys.argv[1]), model)
small = nn.Linear(2, 2)
other = torch.optim.AdamW(small.parameters())
State(Path(sys.argv[1]), small).save(other, {"step": 0})
(Path(sys.argv[1]) / "state.pt").unlink()
assert forget_peak_host_bytes()
before = resident_bytes()
state.save(optimizer, {"step": 1})
print((peak_host_bytes() - before) / 192e6)
"""


@pytest.mark.slow
def test_a_state_is_never_twice_in_memory(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    assert float(run.stdout) < 0.2  # of the state's 192 MB; its bytes as one object would be 1.0
