"""The sound of runs: one when it is asked for, or of a page as many as have room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.common.wording import counted
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.sweeps import dataset
from dia2.inspect.trace.load import load
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.sound import trace_sound
from dia2.inspect.views.sweeps.gathered import Gathered

SOUND_BYTES = 6_000_000  # of a page, unless it is said otherwise


def trace_of(found: Gathered, run: int) -> Trace[Any]:
    """The trace of a run.

    Raises:
        UsageError: it has none, or none on this machine.
        TraceError: it is damaged.
    """
    if not found.traces[run]:
        raise UsageError(f"Run {found.ids[run]} has no trace: it failed before its first call, or kept none.")
    if found.there.local is None:
        raise UsageError(
            f"The traces of {found.there} are not on this machine: copy {dataset.trace_name(found.ids[run])} here."
        )
    return load(found.there.local / dataset.TRACES / f"{found.raw_ids[run]}{SUFFIX}")


def sound_of(trace: Trace[Any], *, voice: bool = True) -> bytes:
    """What a run sounds like, as MP3.

    Args:
        trace: of the run.
        voice: with what it holds of a recording that it goes on from; else that is silent.

    Raises:
        TraceError: it gave no sound, or is damaged.
    """
    sound = trace_sound(trace, voice=voice)
    if sound is None:
        raise TraceError(f"{trace.path.name} gave no sound, or it was taken out.")
    return sound.data


def sounds_within(found: Gathered, room: int, *, voice: bool = True) -> tuple[dict[int, bytes], str]:
    """Sounds of as many runs as have room: one for each combination of the settings but the seed, then the next.

    Args:
        found: the runs.
        room: bytes of all of them.
        voice: see `sound_of`.

    Returns:
        The sounds by place of their run, and what is to be said of those that are missing.
    """
    sounds: dict[int, bytes] = {}
    candidates, used, given = list(_in_turns(found)), 0, 0
    if found.there.local is None:
        return {}, "The page holds no sounds: the traces are not on the machine that wrote it."
    for run in candidates:
        try:
            trace = trace_of(found, run)
            data = sound_of(trace, voice=voice)
        except Dia2Error:  # a run without sound, or whose trace is damaged: the others have theirs
            continue
        if used + len(data) > room:
            break
        used += len(data)
        given += voice and trace.given_samples(0) > 0
        sounds[run] = data
    told = [_heard(len(sounds), len(candidates), used)] if len(sounds) < len(candidates) else []
    if given:
        told.append(f"{counted(given, 'sound')} of them hold recordings that the runs were given.")
    return sounds, " ".join(told)


def _heard(sounds: int, runs: int, used: int) -> str:
    if not sounds:
        return "No run can be heard in this page."
    return f"{sounds:,} of {counted(runs, 'run')} can be heard in this page, which has {used / 1e6:.1f} MB of sound."


def _in_turns(found: Gathered) -> Iterator[int]:
    axes = [column.values for column in found.axes if column.name != "seed"]
    runs = [run for run in range(len(found)) if found.traces[run] and not found.failed[run]]
    if not runs:
        return
    keys = np.stack(axes, 1)[runs] if axes else np.zeros((len(runs), 1))
    keys = np.nan_to_num(keys, nan=-np.inf)
    turns: dict[tuple[float, ...], int] = {}
    order = []
    for run, key in zip(runs, map(tuple, keys.tolist()), strict=True):
        turn = turns[key] = turns.get(key, -1) + 1
        order.append((turn, run))
    yield from (run for _, run in sorted(order))
