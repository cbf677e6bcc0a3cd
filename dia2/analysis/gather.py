"""Activations of many runs in one table: what probes, directions and autoencoders are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dia2.adapter.activations import checkpoint_of, streamed
from dia2.adapter.looking import Looker
from dia2.adapter.replay import check_given, chosen_points
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import PointFilter
from dia2.common.reading import Reading
from dia2.engine import Dia2

_FLAT = 1 << 33  # bytes that one table may take


@dataclass(frozen=True)
class Samples:
    """Activations of n calls of some runs, of the conditional branch."""

    __repr__ = brief_repr

    values: Mapping[str, np.ndarray]  # by point [n, width] float32; heads side by side
    run: np.ndarray  # [n] int: number of the trace
    call: np.ndarray  # [n] int
    checkpoint: str  # which weights made them

    def __len__(self) -> int:
        return len(self.run)


def samples(
    traces: Sequence[Dia2Trace],
    tts: Dia2,
    points: PointFilter,
    chosen: Sequence[np.ndarray],
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Read some calls of some runs, one run after the other.

    Args:
        traces: of one checkpoint.
        tts: that checkpoint.
        points: what is read; not `pattern`, which has another width in each run, and not the depformer's.
        chosen: of each trace, the calls: ascending numbers.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, no such point, no calls at all, or more than fits into memory.
        TraceError: a trace was redacted.
    """
    counts = [len(calls) for calls in chosen]
    if not sum(counts):
        raise UsageError("There is no call to read: none of these runs has one with such a label.")
    parts: dict[str, list[np.ndarray]] = {}
    for number, (trace, calls) in enumerate(zip(traces, chosen, strict=True)):
        if not len(calls):
            continue
        wanted = check_given(trace, tts, calls.tolist())
        read = chosen_points(trace, tts.runtime, points, max(wanted) + 1)
        _check(read, sum(counts))
        with tts.runtime.computing():
            for _, acts in streamed(tts.runtime, trace, wanted, Looker(read)):
                for reading in read:
                    parts.setdefault(reading.name, []).append(acts[reading.name][:, 0].flatten(1).numpy())
        if progress is not None:
            progress(number + 1, len(traces))
    return Samples(
        values={name: np.concatenate(found) for name, found in parts.items()},
        run=np.repeat(np.arange(len(traces)), counts),
        call=np.concatenate([np.asarray(calls, np.int64) for calls in chosen]),
        checkpoint=checkpoint_of(tts.runtime),
    )


def _check(read: Sequence[Reading], count: int) -> None:
    if not read:
        raise UsageError("Name the activations to read, such as points=['act.*.resid'].")
    for reading in read:
        if reading.name.endswith(".pattern") or reading.name.startswith("act.dep."):
            raise UsageError(
                f"{reading.name} has no one vector for each call: name a point of the transformer but pattern."
            )
    size = 4 * count * sum(int(np.prod(reading.shape[1:])) for reading in read)
    if size > _FLAT:
        raise UsageError(f"These activations would fill {size / 2**30:.1f} GB: name fewer points or traces.")


def check_traces(traces: object, what: str) -> list[Dia2Trace]:
    """The traces that were given, one or several.

    Raises:
        UsageError: there is none, or something else among them.
    """
    listed = list(traces) if isinstance(traces, Sequence) else [traces]
    found = [trace for trace in listed if isinstance(trace, Dia2Trace)]
    if not found or len(found) < len(listed):
        raise UsageError(f"{what} needs traces of Dia2, not {short(traces)}: open each by dia2.inspect.load(path).")
    return found
