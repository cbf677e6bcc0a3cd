"""The training loop: it learns, it logs, and a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dia2.common.errors import Dia2Error
from tests.support.disk import files_up_to
from training import saving
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
    assert f"training, step {STEPS}: train: loss" in capsys.readouterr().out
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
import training.saving as saving
from tests.training.test_loop import line, new_model
saving._SECONDS, saving._SHARE = 0.0, 1e9
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


def dropping(model: nn.Linear, generator: torch.Generator) -> Losses:
    """`line`, with dropout, which draws from torch's own generator."""
    x = nn.functional.dropout(torch.randn(16, 3, generator=generator), 0.3)
    return {"loss": (model(x) - x.sum(1, keepdim=True)).square().mean()}


def parameters(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step_in_hand_and_the_rest_is_that_of_an_unbroken_run(
    number: signal.Signals, tmp_path: Path
) -> None:
    whole, stopped, again = new_model(), new_model(), new_model()
    fit(tmp_path / "whole", whole, lambda g: dropping(whole, g), Schedule(STEPS, 0.1, warmup=5))
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    calls = 0

    def loss(generator: torch.Generator) -> Losses:
        nonlocal calls
        calls += 1
        if calls == 23:
            signal.raise_signal(number)
        return dropping(stopped, generator)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "stopped", stopped, loss, Schedule(STEPS, 0.1, warmup=5))
    assert calls == 23
    assert torch.load(tmp_path / "stopped" / "state.pt", weights_only=True)["step"] == 23
    torch.manual_seed(99)
    fit(tmp_path / "stopped", again, lambda g: dropping(again, g), Schedule(STEPS, 0.1, warmup=5))
    assert torch.equal(parameters(whole), parameters(again))
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_full_disk_loses_no_step_that_was_saved_and_the_rest_is_the_same(tmp_path: Path) -> None:
    whole, stopped = new_model(), new_model()
    train(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", stopped, stop_at=20)
    again = new_model()
    with files_up_to(1200), pytest.raises(Dia2Error, match="could not be written"):
        train(tmp_path / "run", again)
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 20
    again = new_model()
    train(tmp_path / "run", again)
    assert torch.equal(parameters(whole), parameters(again))


def test_what_was_half_done_is_not_saved(tmp_path: Path) -> None:
    model = new_model()

    class Half(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            if model.bias.detach().abs().sum() > 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            tmp_path,
            model,
            lambda g: line(model, g),
            Schedule(5, 0.1),
            optimizer=lambda groups, rate, _: Half(groups, lr=rate),
        )
    assert not (tmp_path / "state.pt").exists()


def test_batches_of_a_step_are_added_up_to_their_mean(tmp_path: Path) -> None:
    model, seen = new_model(), list[Tensor]()

    def loss(generator: torch.Generator) -> Losses:
        x = torch.randn(3, generator=generator)
        seen.append(x)
        return {"loss": (model.weight @ x).sum()}

    fit(tmp_path, model, loss, Schedule(1, 0.1), accumulate=4, clip=1e9)
    assert len({tuple(x.tolist()) for x in seen}) == 4
    moments = torch.load(tmp_path / "state.pt", weights_only=True)["optimizer"]["state"][0]["exp_avg"]
    assert torch.allclose(moments, 0.1 * torch.stack(seen).mean(0)[None], atol=1e-6)


LOSSES = {0: 9.0, 10: 5.0, 20: 4.0, 30: 4.5, 40: float("nan"), 50: 4.2, 60: 4.1}


def judged(folder: Path, steps: int = STEPS, patience: int = 0, **more: Any) -> list[int]:
    """Train, and be told which steps were kept."""
    model, kept = new_model(), list[int]()
    fit(
        folder,
        model,
        lambda g: line(model, g),
        Schedule(steps, 0.1, warmup=5),
        evaluate=lambda step: {"loss": LOSSES[step]},
        evaluate_every=10,
        evaluate_first=True,
        keep=kept.append,
        patience=patience,
        **more,
    )
    return kept


def test_the_best_is_kept_each_time_and_figures_are_means_since_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(tmp_path) == [0, 10, 20]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "training, step 0: validation: loss 9.000 (the best so far)"
    assert lines[2].endswith("; validation: loss 4.000 (the best so far)")
    assert lines[3].endswith("; validation: loss 4.500")
    told = json.loads((tmp_path / "history.json").read_text())
    assert told["best"] == {"step": 20, "loss": 4.0}
    assert [entry["step"] for entry in told["lines"]] == list(LOSSES)
    model, losses = new_model(), list[float]()

    def loss(generator: torch.Generator) -> Losses:
        found = line(model, generator)
        losses.append(float(found["loss"].detach()))
        return found

    fit(tmp_path / "alone", model, loss, Schedule(STEPS, 0.1, warmup=5))
    for number, entry in enumerate(told["lines"][1:]):
        mean = sum(losses[10 * number : 10 * number + 10]) / 10
        assert entry["train"] == pytest.approx(mean, abs=1e-5)
    assert "train" not in told["lines"][0]


def test_patience_ends_it_and_asking_again_does_not_begin_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(tmp_path, patience=2) == [0, 10, 20]
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 40
    said = "training: no better validation in the last 2 ones; the best was step 20"
    assert capsys.readouterr().out.splitlines()[-1] == said
    assert judged(tmp_path, patience=2) == []
    assert capsys.readouterr().out.splitlines() == ["training: going on from step 40 of 60", said]
    assert judged(tmp_path) == []  # the best of before is still the best


def test_without_figures_the_last_is_kept(tmp_path: Path) -> None:
    model, kept = new_model(), list[int]()
    fit(tmp_path, model, lambda g: line(model, g), Schedule(3, 0.1), keep=kept.append)
    assert kept == [3]


def test_going_on_says_from_where_and_what_is_other_than_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"seed": 0, "recordings": "abc"}
    judged(tmp_path, 20, settings=settings)
    capsys.readouterr()
    judged(tmp_path, 60, settings=settings | {"seed": 1}, seed=1)
    assert capsys.readouterr().out.splitlines()[0] == (
        "training: going on from step 20 of 60; changed: steps 20 → 60, seed 0 → 1; the rate goes on from 0.003, where "
        "it was, and falls from there"
    )
    judged(tmp_path, 60, settings=settings | {"seed": 1})
    said = capsys.readouterr().out.splitlines()
    assert said == ["training: going on from step 60 of 60; that is all: for more give more steps"]
    rates = torch.load(tmp_path / "state.pt", weights_only=True)["schedule"]
    assert Schedule.of(rates).begin == 20  # not anew from where it was asked again


def test_only_a_part_may_be_saved(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 1))
    fit(
        tmp_path,
        model,
        lambda g: {"loss": model(torch.randn(4, 3, generator=g)).sum()},
        Schedule(2, 0.1),
        saved=model[1],
    )
    assert {*torch.load(tmp_path / "state.pt", weights_only=True)["model"]} == {"weight", "bias"}


def test_a_gradient_that_is_no_number_stops_it_before_the_weights_are_touched(tmp_path: Path) -> None:
    model = new_model()
    before = parameters(model)
    with pytest.raises(Dia2Error, match=r"The gradient's norm is nan at step 0"):
        fit(tmp_path, model, lambda g: {"loss": (model.weight * 0).sqrt().sum()}, Schedule(5, 0.1))
    assert torch.equal(before, parameters(model))


def test_it_is_saved_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SECONDS", 0.0)
    monkeypatch.setattr(saving, "_SHARE", 1e9)
    model, steps = new_model(), list[int]()

    def loss(generator: torch.Generator) -> Losses:
        if (state := tmp_path / "state.pt").exists():
            steps.append(torch.load(state, weights_only=True)["step"])
        return line(model, generator)

    fit(tmp_path, model, loss, Schedule(4, 0.1))
    assert steps == [1, 2, 3]
