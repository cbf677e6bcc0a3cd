"""The training loop: it learns, it logs, and a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dia2.common.errors import Dia2Error
from training.loop import Losses, Schedule, fit

STEPS = 60


def line(model: nn.Linear, generator: torch.Generator) -> Losses:
    x = torch.randn(16, 3, generator=generator)
    wanted = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.25
    loss: Tensor = (model(x) - wanted).square().mean()
    return {"loss": loss}


def new_model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def train(folder: Path, model: nn.Linear, stop_at: int | None = None) -> dict[str, float]:
    calls = 0

    def loss(generator: torch.Generator) -> Losses:
        nonlocal calls
        calls += 1
        if stop_at is not None and calls > stop_at:
            raise KeyboardInterrupt
        return line(model, generator)

    return fit(folder, model, loss, Schedule(STEPS, 0.1, warmup=5), evaluate=lambda step: {"seen": float(step)})


def test_it_learns_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = new_model()
    figures = train(tmp_path, model)
    assert torch.allclose(model.weight, torch.tensor([[1.0, -2.0, 0.5]]), atol=0.2)
    assert figures["seen"] == STEPS
    assert f"training, step {STEPS}: loss" in capsys.readouterr().out
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_a_run_stopped_by_ctrl_c_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, stopped = new_model(), new_model()
    train(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "stopped", stopped, stop_at=23)
    again = new_model()
    train(tmp_path / "stopped", again)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


VICTIM = """
import sys
from pathlib import Path
import training.loop as loop
from tests.training.test_loop import line, new_model
loop._SAVE_SECONDS = 0.0
model, steps = new_model(), 0
def loss(g):
    global steps
    steps += 1
    if steps == 30:
        print("now", flush=True)
        import time; time.sleep(60)
    return line(model, g)
loop.fit(Path(sys.argv[1]), model, loss, loop.Schedule(60, 0.1, warmup=5))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_state(tmp_path: Path) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == "now\n"
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 29
    whole, again = new_model(), new_model()
    train(tmp_path / "whole", whole)
    train(tmp_path / "run", again)
    assert torch.equal(whole.weight, again.weight)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = new_model()
    with pytest.raises(Dia2Error, match=r"The loss is nan at step 0"):
        fit(tmp_path, model, lambda g: {"loss": model.weight.sum() * float("nan")}, Schedule(5, 0.1))


def test_a_foreign_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path, new_model())
    other = nn.Linear(4, 1)
    with pytest.raises(Dia2Error, match="is not the state of such a run"):
        fit(tmp_path, other, lambda g: {"loss": other.weight.sum()}, Schedule(5, 0.1))


def test_the_schedule_rises_and_falls() -> None:
    schedule = Schedule(steps=100, peak=1.0, warmup=10, floor=0.1)
    assert schedule.rate(0) == pytest.approx(0.1, abs=0.01)
    assert schedule.rate(9) > 0.9
    assert schedule.rate(100) == pytest.approx(0.1)
