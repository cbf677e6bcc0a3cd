"""Activations of a recorded run, computed again in bounded memory: into arrays, or into a file that is mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dia2.adapter.activation_file import Shapes, Sink, read_file, written_file
from dia2.adapter.checkpoint import fingerprint
from dia2.adapter.looking import Looker
from dia2.adapter.replay import check_given, chosen_points, depformer, passes, read_by
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.errors import UsageError
from dia2.common.hooks import PointFilter
from dia2.engine import Dia2
from dia2.inspect.trace.replaying import check_size
from dia2.runtime.context import RuntimeContext


@dataclass(frozen=True)
class Activations:
    """Activations of n calls of one run, float32; of a file they are mapped, so that only what is looked at is read."""

    __repr__ = brief_repr

    calls: np.ndarray  # [n] int32, ascending
    arrays: Mapping[str, np.ndarray] = field(repr=False)  # by point [n, B, …] as the registry says; NaN where none is
    checkpoint: str  # which weights made them, see `checkpoint_of`
    read: str  # what they were computed from, see `dia2.inspect.trace.replaying.digest`

    @property
    def points(self) -> list[str]:
        """What was read."""
        return list(self.arrays)

    def __getitem__(self, point: str) -> np.ndarray:
        """Those of a point [n, B, …].

        Raises:
            UsageError: it was not read; says what was.
        """
        if point not in self.arrays:
            raise UsageError(f"{point!r} was not read here, only {', '.join(self.arrays)}: name it in points=.")
        return self.arrays[point]


def activations(
    trace: Dia2Trace,
    tts: Dia2,
    points: PointFilter,
    calls: Sequence[int] | slice | None = None,
    *,
    into: str | Path | None = None,
    edits: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Activations:
    """Compute the activations of some calls again, chunk by chunk: what was computed is written before more is.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        points: names or globs such as `act.*.resid`; see `dia2.common.reading`.
        calls: which; `None`: all. Each comes once, in order.
        into: a `.safetensors` file, which is mapped afterwards and not read, or a `.parquet` file with one row per call
            and branch, of which no arrays come back; `None`: into memory. A file is there whole or not at all,
            whatever ends the work.
        edits: with the run's edits of activations; without, as the network would have gone on from the same tokens.
        progress: called with (calls done, calls to do).

    Raises:
        UsageError: another checkpoint, no such point, a file that cannot be written, or more than memory should be
            asked for, which a file has no limit for.
        TraceError: there is no such call, or the trace was redacted.
        Dia2Error: the disk is full, or pyarrow is missing.
    """
    wanted = sorted(set(check_given(trace, tts, calls)))
    runtime, slots = tts.runtime, max(wanted) + 1
    read = chosen_points(trace, runtime, points, slots)
    if not read:
        raise UsageError("Name the activations to read, such as points=['act.*.resid'].")
    shapes = {reading.name: (len(wanted), *reading.shape) for reading in read}
    checkpoint, known_by = checkpoint_of(runtime), read_by(trace, slots, edits=edits)
    if into is None:
        check_size(4 * sum(int(np.prod(shape)) for shape in shapes.values()), "calls=range(300, 320), or into='FILE'")
    arrays = {name: np.empty(shape, dtype=np.float32) for name, shape in shapes.items()} if into is None else {}
    about = {"weights": checkpoint, "read": known_by}
    with _sink(arrays, wanted, shapes, about, into) as sink, runtime.computing():
        first = 0
        for chosen, acts in streamed(runtime, trace, wanted, Looker(read), progress, edits=edits):
            sink(first, {name: acts[name].numpy() for name in shapes})
            first += len(chosen)
    if into is None:
        return Activations(np.array(wanted, np.int32), arrays, checkpoint, known_by)
    if Path(into).suffix == ".parquet":
        return Activations(np.array(wanted, np.int32), {}, checkpoint, known_by)
    return load_activations(into)


def streamed(
    runtime: RuntimeContext,
    trace: Dia2Trace,
    wanted: Sequence[int],
    looker: Looker,
    progress: Callable[[int, int], None] | None = None,
    *,
    edits: bool = True,
) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
    """Calls, and what is read in them by point [n, B, …], as many at a time as one pass of the transformer has."""
    for part in passes(runtime, trace, wanted, looker, progress, edits=edits):
        acts = part.acts
        if looker.depformer and part.calls:
            found = depformer(runtime, trace, part.calls, part.hidden.float(), False, False, looker, edits=edits)
            acts |= found["acts"]
        if part.calls:
            yield part.calls, acts


def load_activations(path: str | Path) -> Activations:
    """Map what `activations(…, into="FILE.safetensors")` wrote; nothing of it is read before it is looked at.

    Raises:
        UsageError: there is no such file, or it is none of these.
    """
    calls, arrays, about = read_file(Path(path))
    return Activations(calls, arrays, about["weights"], about["read"])


def checkpoint_of(runtime: RuntimeContext) -> str:
    """By which a checkpoint is known: the SHA-256 of its weights; empty where they are no local file."""
    return fingerprint(runtime.assets)["weights"] or ""


def _sink(
    arrays: dict[str, np.ndarray], calls: list[int], shapes: Shapes, about: Mapping[str, str], into: str | Path | None
) -> AbstractContextManager[Sink]:
    if into is not None:
        return written_file(Path(into), calls, shapes, about)

    def keep(first: int, values: Mapping[str, np.ndarray]) -> None:
        for name, part in values.items():
            arrays[name][first : first + len(part)] = part

    sink: Any = keep
    return nullcontext(sink)
