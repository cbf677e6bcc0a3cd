"""The voices that a run was given, in the explorer: their recordings, or nothing that could be made into them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dia2.inspect.schema.view import View, peaks, text
from dia2.inspect.schema.view_signals import loudness
from dia2.inspect.trace.recordings import contains
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.sound import encode, playable

_LEFT_OUT = -3  # stands for a code in the grid; −1 and −2 have meanings already


def add_recordings(view: View, trace: Trace[Any], *, voice: bool) -> dict[str, bytes]:
    """Put into a view the recordings whose sound the trace keeps, or take out of it the codes of what was given.

    Returns:
        The columns of sound.

    Raises:
        TraceError: a recording is damaged.
    """
    recordings, clock = trace.recordings if voice else [], view.header["clock"]
    view.header.update(contains=contains(recordings), recordings=[])
    if recordings:
        view.header["facts"] = [*view.header["facts"], contains(recordings)]  # in sight wherever the view is shown
    sounds = {}
    for each in recordings:
        column = f"sound_recording_{each.speaker}"
        heard = playable(each.samples, each.rate)
        sounds[column] = encode(*heard)
        view.columns[f"peaks_recording_{each.speaker}"] = peaks(*heard)
        if clock is not None:
            view.columns[f"loudness_recording_{each.speaker}"] = loudness(*heard, clock["rate"])
        view.header["recordings"].append(
            {
                "speaker": each.speaker,
                "first": each.first,
                "calls": each.calls,
                "seconds": each.seconds,
                "rate": each.rate,
                "column": column,
                "name": text(each.name or f"recording {each.speaker}"),
            }
        )
    if not voice:
        leave_out_given_codes(view)
    return sounds


def leave_out_given_codes(view: View) -> None:
    """Take the codes of what was given out of a grid: any decoder of the codec makes the voice of them."""
    cells, grid = view.columns.get("grid"), view.header["grid"]
    if cells is None:
        return
    given = np.arange(len(cells))[:, None] < np.array(grid["edge"])
    told = given & (cells >= 0) & (cells < grid["codes"])
    view.columns["grid"] = np.where(told, cells.dtype.type(_LEFT_OUT), cells)
    grid["specials"] = dict(grid.get("specials") or {}) | {str(_LEFT_OUT): "a code that was left out"}
