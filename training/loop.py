"""One training loop for every model here: schedule, progress, logs for TensorBoard, and a state to go on from.

A run is a folder. `state.pt` in it is replaced as a whole every few minutes and at Ctrl-C, and what a step looks at is
drawn from a generator seeded with the step: a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from dia2.common.errors import Dia2Error
from dia2.common.files import write_atomically

Losses = Mapping[str, Tensor]  # "loss" is what is minimised; the others are shown beside it
Evaluate = Callable[[int], Mapping[str, float]]  # of the steps so far
Optimizer = Callable[
    [list[dict[str, Any]], float, tuple[float, float]], torch.optim.Optimizer
]  # of groups, rate, betas

_SMOOTHING = 0.98  # of the losses that are shown
_SAVE_SECONDS = 120.0
_LOG_STEPS = 20
_TELL_SECONDS = 60.0  # where there is no terminal


@dataclass(frozen=True)
class Schedule:
    """Learning rate: up linearly, then down half a cosine to `floor` of the peak."""

    steps: int
    peak: float
    warmup: int = 100  # steps
    floor: float = 0.03

    def rate(self, step: int) -> float:
        """The learning rate of `step`."""
        decayed = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.peak * min(1.0, (step + 1) / self.warmup) * decayed


def adamw(groups: list[dict[str, Any]], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    """AdamW."""
    return torch.optim.AdamW(groups, lr=rate, betas=betas)


def fit(
    folder: Path,
    model: nn.Module,
    loss: Callable[[torch.Generator], Losses],
    schedule: Schedule,
    *,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 0,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.98),
    clip: float = 1.0,
    seed: int = 0,
    title: str = "training",
    optimizer: Optimizer = adamw,
) -> dict[str, float]:
    """Train the parameters of `model` that want gradients, from `folder/state.pt` on if it is there.

    Args:
        folder: of the run; `state.pt` and TensorBoard's event files are written there.
        model: what is saved and restored.
        loss: the losses of one step; everything random in it comes from the generator that it is given.
        schedule: how many steps, and how fast.
        evaluate: figures to log every `evaluate_every` steps and at the end.
        evaluate_every: steps; 0: only at the end.
        weight_decay: of matrices; vectors have none.
        betas: of the optimizer.
        clip: largest norm of the gradient.
        seed: of the steps' generators.
        title: beside the bar.
        optimizer: makes the optimizer.

    Returns:
        The smoothed losses at the end, and over those of the same name the figures of `evaluate`.

    Raises:
        Dia2Error: the loss is no number any more, or the state does not fit the model.
    """
    from tensorboardX import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    moving = optimizer(groups, schedule.peak, betas)
    state = folder / "state.pt"
    step, shown = _restore(state, model, moving)
    figures: dict[str, float] = {}
    model.train()
    saved = time.monotonic()
    with closing(SummaryWriter(str(folder))) as writer, _bar(title, schedule.steps, step) as advance:
        try:
            while step < schedule.steps:
                for group in moving.param_groups:
                    group["lr"] = schedule.rate(step)
                losses = loss(torch.Generator().manual_seed(seed * 1_000_003 + step))
                total = losses["loss"]
                if not bool(total.isfinite()):
                    raise Dia2Error(
                        f"The loss is {float(total.detach())} at step {step}: go on from {state} at a lower rate."
                    )
                moving.zero_grad(set_to_none=True)
                total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                norm = nn.utils.clip_grad_norm_(parameters, clip)
                moving.step()
                step += 1
                for name, value in {**losses, "gradient": norm}.items():
                    old = shown.get(name, float(value.detach()))
                    shown[name] = _SMOOTHING * old + (1 - _SMOOTHING) * float(value.detach())
                if step % _LOG_STEPS == 0:
                    _log(writer, "train", {**shown, "rate": schedule.rate(step)}, step)
                    advance(step, shown)
                if evaluate and ((evaluate_every and step % evaluate_every == 0) or step == schedule.steps):
                    figures = _evaluated(model, evaluate, step)
                    _log(writer, "validation", figures, step)
                    print(f"{title}, step {step}: {_line(shown)}; validation: {_line(figures)}", flush=True)
                if time.monotonic() - saved > _SAVE_SECONDS:
                    _save(state, model, moving, step, shown)
                    saved = time.monotonic()
        finally:  # Ctrl-C too: nothing that was learnt is lost
            _save(state, model, moving, step, shown)
    return {**shown, **figures}


def _evaluated(model: nn.Module, evaluate: Evaluate, step: int) -> dict[str, float]:
    model.eval()
    try:
        with torch.no_grad():
            return dict(evaluate(step))
    finally:
        model.train()


def _restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, dict[str, float]]:
    """Take up the state at `path`; step 0 where there is none."""
    if not path.exists():
        return 0, {}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        return int(found["step"]), dict(found["shown"])
    except (RuntimeError, KeyError, ValueError, EOFError) as error:
        raise Dia2Error(
            f"{path} is not the state of such a run ({str(error)[:200]}): remove it, or name another folder."
        ) from error


def _save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, shown: dict[str, float]) -> None:
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "shown": shown}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def _log(writer: Any, family: str, figures: Mapping[str, float], step: int) -> None:
    for name, value in figures.items():
        writer.add_scalar(f"{family}/{name}", value, step)


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


@contextmanager
def _bar(title: str, steps: int, done: int) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A progress bar with the loss beside it; where there is no terminal, a line now and then."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]}"),
    )
    told = time.monotonic()

    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=steps, completed=done, loss="…")

        def advance(step: int, shown: Mapping[str, float]) -> None:
            nonlocal told
            progress.update(task, completed=step, loss=f"{shown['loss']:.3f}")
            if not console.is_terminal and time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                print(f"{title}, step {step} of {steps}: {_line(shown)}", file=sys.stderr, flush=True)

        yield advance
