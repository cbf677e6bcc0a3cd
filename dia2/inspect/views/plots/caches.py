"""How the key/value caches fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.adapter.checks import check_trace
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.store.layout import MAX_CALLS
from dia2.inspect.views.plots.page import (
    GREY,
    INK,
    NEW,
    SHADE,
    SPEAKER,
    choose_calls,
    headline,
    legend,
    new_figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def kv_growth(trace: Dia2Trace) -> Figure:
    """How the caches fill, call after call: the transformer's with the rotary position beside it, and the depformer's.

    In between is the difference of slot and position. After a prefix a call's slot is its position + 1, because the
    prefix's last step is decoded twice. The depformer's cache is emptied before every frame.

    Raises:
        TraceError: the trace has no calls.
        Dia2Error: matplotlib is missing.
    """
    check_trace(trace, "plots.kv_growth")
    choose_calls(trace, None, None, MAX_CALLS)
    calls, filled, position = np.arange(len(trace)), trace.kv_lengths, trace.column("position")
    ahead = trace.column("slot") - position
    figure = new_figure(3.9)
    rows = figure.subplots(3, 1, sharex=True, height_ratios=(3.2, 1, 1))
    slots, difference, depformer = rows
    _line(slots, calls, filled[:, 0], "slots", color=SPEAKER[1], linewidth=3, alpha=0.45)
    _line(slots, calls, position, "position", color=NEW, linewidth=1.1, linestyle=(0, (4, 2)))
    _line(difference, calls, ahead, "slot - position", color=INK, linewidth=1.1)
    _line(depformer, calls, filled[:, 1], "depformer", color=SPEAKER[1], linewidth=1.1)
    for axes, name in zip(rows, ("transformer", "slot −\nposition", "depformer"), strict=True):
        style(axes, y=name, whole="both")
        axes.set_xlim(-0.5, len(trace) - 0.5)
        axes.margins(y=0.18 if axes is not slots else 0.05)
        if trace.warmup_calls:
            axes.axvspan(-0.5, trace.warmup_calls - 0.5, color=SHADE, zorder=0).set_gid("warm-up")
    difference.set_yticks(np.unique(ahead)[:6])
    depformer.set_yticks(np.unique(filled[:, 1])[:6])
    rows[-1].set_xlabel("call", fontsize=8)
    figure.align_ylabels(list(rows))
    facts = (
        f"{counted(int(filled[-1, 0]), 'slot')} after {counted(len(trace), 'call')} · rotary position {position[-1]}"
    )
    headline(slots, "Key/value caches", f"{facts} · depformer {counted(int(filled[-1, 1]), 'slot')} a frame")
    legend(figure, _legend(trace))
    return figure


def _line(axes: Axes, calls: np.ndarray, values: np.ndarray, name: str, **look: Any) -> None:
    (line,) = axes.plot(calls, values, drawstyle="steps-mid", **look)
    line.set_gid(name)


def _legend(trace: Dia2Trace) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = [
        ("filled slots after the call", {"facecolor": SPEAKER[1], "edgecolor": "none", "alpha": 0.45}),
        ("rotary position of the call (dashed)", {"facecolor": NEW, "edgecolor": "none"}),
    ]
    if trace.warmup_calls:
        entries.append((f"warm-up, {counted(trace.warmup_calls, 'call')}", {"facecolor": SHADE, "edgecolor": GREY}))
    return entries
