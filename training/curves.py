"""A run's losses as a picture, from what its folder says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dia2.common.checks import is_number, read_small
from training.loop import HISTORY

_NAMES = {"train": "train (spoilt)", "seen": "recordings learnt from", "loss": "recordings held back"}


def draw_losses(run: Path, path: Path) -> bool:
    """Draw the losses of the run in the folder `run` against steps, the best marked, as a PNG at `path`.

    Returns:
        Whether there was anything to draw.
    """
    try:
        found = json.loads(read_small(run / HISTORY, 1 << 26))
    except FileNotFoundError:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    drawn = [_curve(axes, found["lines"], name, label) for name, label in _NAMES.items()]
    best = found.get("best") or {}
    if is_number(best.get("step")) and is_number(best.get("loss")):
        axes.plot(best["step"], best["loss"], "o", color="black", fillstyle="none", markersize=10)
        axes.annotate(f"best: step {best['step']}", (best["step"], best["loss"]), (6, 10), textcoords="offset points")
    axes.set(xlabel="step", ylabel="loss")
    axes.grid(alpha=0.3)
    if any(drawn):
        axes.legend()
        figure.savefig(path, dpi=120)
    return any(drawn)


def _curve(axes: Any, lines: list[dict[str, float]], name: str, label: str) -> bool:
    points = [(line["step"], line[name]) for line in lines if is_number(line.get(name))]
    if points:
        axes.plot(*zip(*points, strict=True), marker=".", label=label)
    return bool(points)
