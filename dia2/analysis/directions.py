"""Directions in activations: the difference of two means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from dia2.adapter.trace import Dia2Trace
from dia2.analysis.gather import check_traces, samples
from dia2.analysis.labels import Labels, labels_of
from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.files import check_writable, write_atomically
from dia2.engine import Dia2
from dia2.runtime.vectors import Vector

Labelled = Callable[[Dia2Trace], Labels]
Group = Callable[[Labels], np.ndarray] | int | float | str  # a mask [n] of calls, or the value of the label


@dataclass(frozen=True)
class Direction:
    """A vector, and what it is of.

    `Steer(found.point, found.vector, 0.5)` adds half of it, wherever an activation is, and
    `Clamp(found.point, found.vector, found.between(1))` moves each one along it to where the mean of `where` lies.
    """

    __repr__ = brief_repr

    point: str
    vector: Vector  # [width]; of heads side by side
    checkpoint: str  # whose activations it is made of; it means nothing in others
    units: str  # what a scale of 1 is
    length: float
    calls: tuple[int, int]  # how many there are of each mean
    ends: tuple[float, float] = (0.0, 0.0)  # how far the means of `minus` and `where` lie along it

    def between(self, strength: float) -> float:
        """How far along it what lies at `strength` of the way from `minus` (0) to `where` (1) is."""
        return self.ends[0] + strength * (self.ends[1] - self.ends[0])

    def save(self, path: str | Path) -> None:
        """Write it as a safetensors file, whole or not at all, that a sweep's plan can name as a vector.

        Raises:
            UsageError: no file can be there.
            Dia2Error: the disk is full.
        """
        check_writable(path)
        about = {"point": self.point, "units": self.units} | ({"weights": self.checkpoint} if self.checkpoint else {})
        write_atomically(path, save({"direction": self.vector.tensor}, about))


def difference_of_means(
    traces: Sequence[Dia2Trace] | Dia2Trace,
    tts: Dia2,
    point: str,
    *,
    label: str = "speaker",
    where: Group,
    minus: Group,
    labels: Labelled = labels_of,
    progress: Callable[[int, int], None] | None = None,
) -> Direction:
    """The mean of an activation over some calls, less that over others; of the conditional branch.

        voice = difference_of_means(traces, tts, "act.2.resid", label="speaker", where=2, minus=1)
        pause = difference_of_means(traces, tts, "act.3.resid", label="silent", where=1, minus=0)

    Args:
        traces: runs of one checkpoint.
        tts: that checkpoint.
        point: such as `act.2.resid`.
        label: name of the labels that `where` and `minus` are values of.
        where: a value of the label, or a function that gives a mask [n] of `Labels`.
        minus: likewise, of the calls whose mean is taken off.
        labels: labels of a trace; with phonemes, a function that gives `labels_of(trace, given=…)`.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, no such point or label, or no call in one of the groups.
        TraceError: a trace was redacted.
    """
    listed = check_traces(traces, "difference_of_means")
    found = [labels(trace) for trace in listed]
    masks = [[_mask(group, label, one) for one in found] for group in (where, minus)]
    for name, group in zip(("where", "minus"), masks, strict=True):
        if not sum(int(mask.sum()) for mask in group):
            raise UsageError(f"No call of these runs is in the group {name}=: give another value of {label}.")
    chosen = [np.flatnonzero(one | other) for one, other in zip(*masks, strict=True)]
    read = samples(listed, tts, point, chosen, progress)
    if list(read.values) != [point]:
        raise UsageError(f"A direction is of one point, and {point!r} stands for {len(read.values)}: name one.")
    values = read.values[point].astype(np.float64)
    one, other = (
        np.array([group[run][call] for run, call in zip(read.run, read.call, strict=True)]) for group in masks
    )
    to, off = values[one].mean(axis=0), values[other].mean(axis=0)
    vector = to - off
    length = float(np.linalg.norm(vector))
    unit = vector / (length or 1.0)
    told = [_told(group, label) for group in (where, minus)]
    return Direction(
        point=point,
        vector=Vector(vector),
        checkpoint=read.checkpoint,
        units=f"1 is the difference of means of {told[0]} and {told[1]}",
        length=length,
        calls=(int(one.sum()), int(other.sum())),
        ends=(float(off @ unit), float(to @ unit)),
    )


def _mask(group: Group, label: str, labels: Labels) -> np.ndarray:
    """Which calls are of a group."""
    if not callable(group):
        found: Any = labels[label] == group
        return np.asarray(found & labels.known(label))
    mask = np.asarray(group(labels))
    if mask.dtype != bool or mask.shape != labels.word.shape:
        raise UsageError(f"A function gives a mask of the calls, {len(labels.word)} bools, not {short(mask)}.")
    return mask


def _told(group: Group, label: str) -> str:
    return "a group of calls" if callable(group) else f"{label} {group}"
