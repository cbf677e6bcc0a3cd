"""One training loop for every model here: progress, validation, logs for TensorBoard, and a state to go on from.

A run is a folder. `state.pt` in it is replaced as a whole now and then and at the end, be it Ctrl-C or SIGTERM; and all
that is random in a step comes from its number: a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from dia2.common.errors import Dia2Error
from dia2.common.files import write_atomically
from dia2.common.stopping import Stopping
from dia2.common.wording import counted
from training.processes import Alone, Processes
from training.saving import State
from training.schedule import Schedule

__all__ = ["Evaluate", "Losses", "Schedule", "fit"]

Losses = Mapping[str, Tensor]  # "loss" is what is minimised; the others are shown beside it
Evaluate = Callable[[int], Mapping[str, float]]  # of the steps so far; "loss" tells which step was the best
# Makes an optimiser of groups of parameters, the rate and betas.
Optimizer = Callable[[list[dict[str, Any]], float, tuple[float, float]], torch.optim.Optimizer]
Setting = int | float | str

HISTORY = "history.json"  # in a run's folder: its lines, and the best of them
_LOG_STEPS = 20
_TELL_SECONDS = 60.0  # where there is no terminal
_MICRO = 15_485_863  # between the seeds of a step's batches; of a seed, torch takes 32 bits


def adamw(groups: list[dict[str, Any]], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    """AdamW; in one kernel where the parameters are on a GPU."""
    fused = all(p.is_cuda for group in groups for p in group["params"])
    return torch.optim.AdamW(groups, lr=rate, betas=betas, fused=fused or None)


@dataclass
class Mean:
    """Of some figures over steps."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """Those of one step."""
        self.count += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """The means since this was last called."""
        found = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return found


@dataclass
class _Run:
    """What a run has come to, apart from parameters and averages; `facts` is what its state keeps of it."""

    step: int = 0
    line: Mean = field(default_factory=Mean)  # since the last line
    history: list[dict[str, float]] = field(default_factory=list)  # of lines: step, train, and what was evaluated
    best: dict[str, float] = field(default_factory=dict)  # step and loss

    def facts(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "since": {"sums": self.line.sums, "count": self.line.count},
            "history": self.history,
            "best": self.best,
        }

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> _Run:
        since = found.get("since", {})
        return cls(
            int(found.get("step", 0)),
            Mean(dict(since.get("sums", {})), int(since.get("count", 0))),
            list(found.get("history", [])),
            dict(found.get("best", {})),
        )

    def without_gain(self) -> int:
        """Validations since the best one."""
        return sum(line["step"] > self.best.get("step", 0) for line in self.history if "loss" in line)


def fit(
    folder: Path,
    model: nn.Module,
    loss: Callable[[torch.Generator], Losses],
    schedule: Schedule,
    *,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 0,
    evaluate_first: bool = False,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.98),
    clip: float = 1.0,
    seed: int = 0,
    title: str = "training",
    optimizer: Optimizer = adamw,
    accumulate: int = 1,
    processes: Processes | None = None,
    saved: nn.Module | None = None,
    settings: Mapping[str, Setting] | None = None,
    keep: Callable[[int], None] | None = None,
    patience: int = 0,
) -> dict[str, float]:
    """Train the parameters of `model` that want gradients, from `folder/state.pt` on if it is there.

    Args:
        folder: of the run; `state.pt` and TensorBoard's event files are written there.
        model: what is trained.
        loss: the losses of one batch; everything random in it comes from the generator that it is given, or from
            torch's own, which is seeded alike. With several processes it calls `processes.forward`, not the model.
        schedule: how many steps, and how fast.
        evaluate: figures to log every `evaluate_every` steps and at the end; by its `loss` the best step is known.
        evaluate_every: steps; 0: only at the end.
        evaluate_first: and before the first step.
        weight_decay: of matrices; vectors have none.
        betas: of AdamW.
        clip: largest norm of the gradient.
        seed: of the steps' generators.
        title: beside the bar.
        optimizer: makes it.
        accumulate: batches of a step in each process.
        processes: where it is computed; this one alone if none.
        saved: the part of the model that is saved and restored; all of it if none.
        settings: what else decides the run, by name: told where it is not as it was when the run was stopped.
        keep: called with the step whenever that is the best so far, and at the end where no figure tells.
        patience: stop after so many validations without a better one; 0: never.

    Returns:
        Means since the last line, and over those of the same name the figures of `evaluate`.

    Raises:
        Dia2Error: the loss is no number any more, the state does not fit the model, or the disk is full.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step in hand; the state is saved.
    """
    from tensorboardX import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    processes = processes or Alone()
    parameters = [p for p in model.parameters() if p.requires_grad]
    made = optimizer(
        [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ],
        schedule.peak,
        betas,
    )
    made = processes.prepare(model, made)
    first = processes.rank == 0
    state = State(folder, saved or model)
    found = state.restore(made)
    run = _Run.of(found)
    asked = schedule
    if found:
        schedule = _continued(title, run, schedule, found, settings or {}, tell=first)
    figures: dict[str, float] = {}
    since_log = Mean()
    model.train()

    def facts() -> dict[str, Any]:
        kept = {"asked": asked.asdict(), "schedule": schedule.asdict(), "settings": dict(settings or {})}
        return run.facts() | kept

    def validated() -> dict[str, float]:
        assert evaluate is not None, "asked before"
        trained = run.line.take()
        with processes.computing():
            found = _evaluated(model, evaluate, run.step)
        better = isfinite(found.get("loss", float("nan"))) and found["loss"] < run.best.get("loss", float("inf"))
        run.history.append({"step": run.step, **({"train": trained["loss"]} if trained else {}), **found})
        if better:
            run.best = {"step": run.step, "loss": found["loss"]}
            if keep is not None:
                keep(run.step)
        if first:
            write_atomically(folder / HISTORY, json.dumps({"best": run.best, "lines": run.history}).encode())
            _log(writer, "validation", found, run.step)
            best = " (the best so far)" if better else ""
            train = f"train: {_line(trained)}; " if trained else ""
            print(f"{title}, step {run.step}: {train}validation: {_line(found) or 'none'}{best}", flush=True)
        return trained | found

    with ExitStack() as stack:
        stopping = stack.enter_context(Stopping(signal.SIGINT, signal.SIGTERM))
        writer = stack.enter_context(closing(SummaryWriter(str(folder)))) if first else None
        advance = stack.enter_context(_bar(title, schedule.steps, run.step) if first else nullcontext(_nobody))
        whole = True  # parameters and averages are those of one step
        try:
            if evaluate and evaluate_first and run.step == 0 and not run.history:
                validated()
            while run.step < schedule.steps and not (patience and run.without_gain() >= patience):
                for group in made.param_groups:
                    group["lr"] = schedule.rate(run.step)
                made.zero_grad(set_to_none=True)
                values = _gradients(processes, loss, run.step, seed, accumulate)
                norm = nn.utils.clip_grad_norm_(parameters, clip)
                wanted = {"stop": float(stopping.asked), "save": float(first and state.due())}
                told = processes.mean(values | {"gradient": float(norm)} | wanted)
                stop, save = told.pop("stop") > 0, told.pop("save") > 0
                for name, what in (("loss", "loss"), ("gradient", "gradient's norm")):
                    if not isfinite(told[name]):
                        raise Dia2Error(
                            f"The {what} is {told[name]} at step {run.step}: go on from {state.path} at a lower rate, "
                            "or with another seed."
                        )
                whole = False
                made.step()
                whole = True
                run.step += 1
                run.line.add(told)
                since_log.add(told)
                if run.step % _LOG_STEPS == 0 and first:
                    shown = since_log.take()
                    _log(writer, "train", {**shown, "rate": schedule.rate(run.step)}, run.step)
                    advance(run.step, shown)
                if evaluate and ((evaluate_every and run.step % evaluate_every == 0) or run.step == schedule.steps):
                    figures = validated()
                if stop:
                    raise KeyboardInterrupt
                if save and first:
                    state.try_to_save(made, facts())
            if patience and run.without_gain() >= patience and first:
                print(
                    f"{title}: no better validation in the last {counted(run.without_gain(), 'one')}; the best was "
                    f"step {run.best.get('step')}",
                    flush=True,
                )
            if keep is not None and not run.best:
                keep(run.step)
        finally:  # Ctrl-C too: nothing that was learnt is lost
            if whole and first:
                state.save(made, facts())
    return figures or run.line.take() or dict(run.history[-1] if run.history else {})


def _gradients(
    processes: Processes, loss: Callable[[torch.Generator], Losses], step: int, seed: int, accumulate: int
) -> dict[str, float]:
    """Add up the gradients of this process's share of a step; gives the means of its losses."""
    total = Mean()
    for part in range(accumulate):
        number = (seed * 1_000_003 + step + (part * processes.count + processes.rank) * _MICRO) % (1 << 63)
        torch.manual_seed(number)  # of dropout, which takes no generator
        last = part == accumulate - 1
        with nullcontext() if last else processes.separate():
            with processes.computing():
                losses = loss(torch.Generator().manual_seed(number))
            processes.backward(losses["loss"] / accumulate)
        total.add({name: float(value.detach()) for name, value in losses.items()})
    return total.take()


def _continued(
    title: str,
    run: _Run,
    schedule: Schedule,
    found: Mapping[str, Any],
    settings: Mapping[str, Setting],
    *,
    tell: bool,
) -> Schedule:
    """The schedule from here on; and what is other than it was is said."""
    asked = Schedule.of(found["asked"]) if "asked" in found else schedule
    before = Schedule.of(found["schedule"]) if "schedule" in found else schedule
    now = before if asked == schedule else schedule.after(before, run.step)
    kept = found.get("settings", settings)
    old = {"steps": asked.steps, "rate": asked.peak} | kept
    new = {"steps": schedule.steps, "rate": schedule.peak} | dict(settings)
    changed = [f"{name} {old.get(name, '?')} → {new[name]}" for name in new if old.get(name) != new[name]]
    if tell:
        parts = [f"{title}: going on from step {run.step} of {schedule.steps}"]
        if changed:
            parts.append(f"changed: {', '.join(changed)}")
        if now != before and now.begin:
            parts.append(f"the rate goes on from {now.rate(run.step):.2g}, where it was, and falls from there")
        if run.step >= schedule.steps:
            parts.append("that is all: for more give more steps")
        print("; ".join(parts), flush=True)
    return now


def _evaluated(model: nn.Module, evaluate: Evaluate, step: int) -> dict[str, float]:
    model.eval()
    try:
        with torch.no_grad():
            return dict(evaluate(step))
    finally:
        model.train()


def _log(writer: Any, family: str, figures: Mapping[str, float], step: int) -> None:
    for name, value in figures.items():
        writer.add_scalar(f"{family}/{name}", value, step)


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _nobody(step: int, shown: Mapping[str, float]) -> None:
    """Who looks on in a process that is not the first."""


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
