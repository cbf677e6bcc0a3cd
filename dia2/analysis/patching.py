"""Activation patching: which activation, of which calls, carries what two runs differ in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.replay import check_given, chosen_points
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.forced import Forced, writes_at
from dia2.analysis.intervals import by_runs
from dia2.analysis.labels import SpokenWord, labels_of
from dia2.analysis.readout import Head, chosen_tokens, drawing_calls, nll
from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import PointFilter
from dia2.common.reading import Reading
from dia2.core.acts import Write, Writes
from dia2.engine import Dia2
from dia2.runtime.activation_point import Point
from dia2.runtime.context import RuntimeContext

Metric = Callable[[Mapping[Head, np.ndarray]], float]  # of logits [n, V] by head, in the calls that are judged
Positions = Mapping[str, Sequence[int]] | Sequence[int]

_ROWS = 16  # patched runs side by side in one pass


@dataclass(frozen=True)
class PooledGrid:
    """What patches take back in the mean over several pairs of runs."""

    __repr__ = brief_repr

    rows: list[str]  # [R]
    columns: list[str]  # [C]
    restored: np.ndarray  # [R, C] float64
    low: np.ndarray  # [R, C] a 95 % interval of it, pairs drawn with replacement
    high: np.ndarray
    clean: float  # the metric of the clean runs, in the mean
    corrupted: float
    pairs: int
    words: list[SpokenWord] = field(default_factory=list)  # of several runs none


@dataclass(frozen=True)
class PatchingGrid:
    """What becomes of a metric when one activation of the corrupted run is that of the clean one."""

    __repr__ = brief_repr

    rows: list[str]  # [R] points; of single heads with their number: act.2.heads[1]
    columns: list[str]  # [C] positions
    metric: np.ndarray  # [R, C] float64
    clean: float  # the metric of the clean run
    corrupted: float  # and of the corrupted one, of which nothing is patched
    calls: list[int]  # in which it is judged
    words: list[SpokenWord]  # where columns are calls: the words whose sound these draw

    @property
    def restored(self) -> np.ndarray:
        """[R, C]: the share of the difference that the patch takes back: 0 nothing, 1 all of it.

        Raises:
            UsageError: the runs do not differ by this metric.
        """
        if self.clean == self.corrupted:
            raise UsageError(
                "Both runs have the same metric, so that there is nothing to take back: judge other calls."
            )
        found: np.ndarray = (self.metric - self.corrupted) / (self.clean - self.corrupted)
        return found


def activation_patching(
    tts: Dia2,
    clean: Dia2Trace,
    corrupted: Dia2Trace | np.ndarray,
    points: PointFilter,
    positions: Positions,
    metric: Metric | None = None,
    *,
    calls: Sequence[int] | slice | None = None,
    by_head: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PatchingGrid:
    """Put activations of the clean run into the corrupted one, point by point and position by position.

    Both runs are forced: they read the tokens that they are given, call by call, in the conditional branch.

    Args:
        tts: the checkpoint of both.
        clean: the run whose activations are put in.
        corrupted: another run, as long at least as what is judged; or what is read instead, [calls, 2 + K] tokens as
            `exchange_word` gives them.
        points: that edits can change.
        positions: calls, or several of them at once by a name.
        metric: of the logits of `calls`; `None`: how unlikely the clean run's codebook 0 is, −ln p in the mean.
        calls: of the clean run's main loop, in which the metric is judged; `None`: all.
        by_head: each head of `heads` has a row of its own.
        progress: called with (patches done, patches to do).

    Raises:
        UsageError: another checkpoint, a point that cannot be changed, a position that is not there, or tokens of
            another shape.
        TraceError: there is no such call, or a trace was redacted.
    """
    judged = check_given(clean, tts, drawing_calls(clean, calls))
    count, runtime = max(judged) + 1, tts.runtime
    tokens = [_tokens(trace, tts, clean, count) for trace in (clean, corrupted)]
    groups = _groups(positions, count)
    read = chosen_points(clean, runtime, points, count)
    for reading in read:
        if Point.to_edit(reading.name).of_depformer:
            raise UsageError(
                f"{reading.name} is of the depformer, which comes after the logits that are judged: name points of "
                "the transformer."
            )
    if not read:
        raise UsageError("Name the activations to patch, such as points=['act.*.resid'].")
    metric = metric or _nll_of(clean, judged)
    forced = Forced(runtime, clean, judged, count)
    cached: dict[str, Tensor] = {}
    every = sorted({call for group in groups.values() for call in group})
    with runtime.computing():
        ends = (
            _value(metric, forced.run(tokens[0][None], None, read, every, cached)[0]),
            _value(metric, forced.run(tokens[1][None], None)[0]),
        )
        patches = list(_patches(read, groups, by_head))
        names = list(dict.fromkeys(patch.row for patch in patches))
        found = np.full((len(names), len(groups)), np.nan)
        done = 0
        for some in _batches(patches):
            writes = _writes(some, cached, every, count, runtime)
            for patch, logits in zip(some, forced.run(tokens[1].expand(len(some), -1, -1), writes), strict=True):
                found[names.index(patch.row), patch.column] = _value(metric, logits)
            done += len(some)
            if progress is not None:
                progress(done, len(patches))
    said = [] if isinstance(positions, Mapping) else labels_of(clean).words
    words = [word for word in said if word.last >= every[0] and word.first <= every[-1]]
    return PatchingGrid(names, list(groups), found, *ends, judged, words)


def pooled(grids: Sequence[PatchingGrid], *, seed: int = 0) -> PooledGrid:
    """Patching grids of several pairs in one; positions have to be named, such as `slot` and `drawn`.

    Shares are those of the pairs' differences added up, so that a pair that differs little counts little.

    Args:
        grids: with the same rows and columns.
        seed: of the interval's draws.

    Raises:
        UsageError: there is none, or they do not go together.
    """
    if not grids or any((grid.rows, grid.columns) != (grids[0].rows, grids[0].columns) for grid in grids):
        raise UsageError(
            "Grids are pooled that have the same points and positions: name positions, as {'drawn': calls}."
        )
    taken = np.stack([grid.corrupted - grid.metric for grid in grids])  # [pairs, R, C]
    whole = np.array([grid.corrupted - grid.clean for grid in grids])
    if not whole.sum():
        raise UsageError("These runs have the same metric, so that there is nothing to take back: judge other calls.")
    low, high = by_runs(taken, whole, seed)
    clean, corrupted = (float(np.mean([getattr(grid, name) for grid in grids])) for name in ("clean", "corrupted"))
    restored = taken.sum(axis=0) / whole.sum()
    return PooledGrid(grids[0].rows, grids[0].columns, restored, low, high, clean, corrupted, len(grids))


class _Patch(NamedTuple):
    row: str
    column: int
    reading: Reading
    head: int | None
    calls: Sequence[int]


def _tokens(given: Dia2Trace | np.ndarray, tts: Dia2, clean: Dia2Trace, count: int) -> Tensor:
    """What the conditional branch reads in the first so many calls: [C, T] int64."""
    if isinstance(given, Dia2Trace):
        check_given(given, tts, [0])
        if len(given) < count or not np.array_equal(given.column("position")[:count], clean.column("position")[:count]):
            raise UsageError(f"{given.path} does not go through the calls 0 … {count - 1} as {clean.path} does.")
        given = given.step_tokens[:, 0]
    wanted = clean.step_tokens.shape[2]
    if not isinstance(given, np.ndarray) or given.ndim != 2 or given.shape[1] != wanted or len(given) < count:
        shape = list(given.shape) if isinstance(given, np.ndarray) else short(given)
        raise UsageError(f"The corrupted run is a trace, or tokens of shape [{count} or more, {wanted}], not {shape}.")
    return torch.from_numpy(given[:count].astype(np.int64)).T


def _groups(positions: Positions, count: int) -> dict[str, list[int]]:
    """Calls by name."""
    if isinstance(positions, Mapping):
        groups = {str(name): [int(call) for call in calls] for name, calls in positions.items()}
    else:
        groups = {str(int(call)): [int(call)] for call in positions}
    if not groups or not all(groups.values()):
        raise UsageError("There is no position to patch: name calls, such as positions=range(20, 40).")
    wrong = [call for group in groups.values() for call in group if not 0 <= call < count]
    if wrong:
        raise UsageError(f"There is no call {wrong[0]} to patch before the last one that is judged, {count - 1}.")
    return groups


def _patches(read: Sequence[Reading], groups: Mapping[str, Sequence[int]], by_head: bool) -> Iterator[_Patch]:
    for reading in read:
        each = range(reading.shape[1]) if by_head and Point.of(reading.name).part == "heads" else [None]
        for head in each:
            row = reading.name if head is None else f"{reading.name}[{head}]"
            for column, calls in enumerate(groups.values()):
                yield _Patch(row, column, reading, head, calls)


def _batches(patches: Sequence[_Patch]) -> Iterator[list[_Patch]]:
    """Patches of one point, some at a time."""
    some: list[_Patch] = []
    for patch in patches:
        if some and (len(some) == _ROWS or some[0].reading.name != patch.reading.name):
            yield some
            some = []
        some.append(patch)
    yield some


def _writes(
    patches: Sequence[_Patch], clean: Mapping[str, Tensor], every: Sequence[int], count: int, runtime: RuntimeContext
) -> Writes:
    """What puts each patch into a run of its own."""
    reading = patches[0].reading
    shape, values = reading.shape[1:], clean[reading.name][:, 0]  # [n, …] in the calls `every`
    keep = torch.ones(len(patches), count, *shape[:-1], 1)
    add = torch.zeros(len(patches), count, *shape)
    place = {call: row for row, call in enumerate(every)}
    for run, patch in enumerate(patches):
        calls = list(patch.calls)
        here = values[[place[call] for call in calls]]
        if patch.head is None:
            keep[run, calls], add[run, calls] = 0.0, here
        else:
            keep[run, calls, patch.head], add[run, calls, patch.head] = 0.0, here[:, patch.head]
    return writes_at(reading.name, Write(keep.to(runtime.device), add.to(runtime.device)), runtime)


def _nll_of(trace: Dia2Trace, judged: Sequence[int]) -> Metric:
    drawn = chosen_tokens(trace, judged)["cb0"]
    return lambda logits: float(nll(torch.from_numpy(logits["cb0"]), drawn).mean())


def _value(metric: Metric, logits: Mapping[Head, np.ndarray]) -> float:
    found = metric(logits)
    if not isinstance(found, int | float | np.number) or not math.isfinite(found):
        raise UsageError(f"A metric gives a finite number, not {short(found)}.")
    return float(found)
