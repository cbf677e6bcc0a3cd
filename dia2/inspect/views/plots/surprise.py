"""How unlikely the codes of each call were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.errors import TraceError
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 40  # characters of a trace's name


def surprise(trace: Trace[Any], other: Trace[Any] | None = None, *, script: int = 0) -> Figure:
    """The mean of −log₂ p over the codes of each call, in bits; of a second run too, as a broad pale line behind it.

    A run that goes wrong without a sign of it in the settings often shows here; see docs/findings.md for what that is
    worth.

    Args:
        trace: with the chances of its draws.
        other: a run to compare with.
        script: which, from 0, of both.

    Raises:
        TraceError: a trace has no chances (level "tokens" keeps none).
        UsageError: that is no trace.
        Dia2Error: matplotlib is missing.
    """
    runs = [trace] if other is None else [trace, other]
    for run in runs:
        page.check_trace(run, "plots.surprise")
    bits = [_bits(run, script) for run in runs]
    figure = page.new_figure(2.3)
    axes = figure.subplots()
    looks: list[dict[str, Any]] = [{"color": page.NEW, "linewidth": 1.2}, {"color": page.PALE, "linewidth": 4.0}]
    for values, look in reversed(list(zip(bits, looks, strict=False))):
        axes.step(range(len(values)), values, where="mid", **look)
    _shade(axes, bits[0])
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    page.style(axes, "call", "bits", whole="x")
    page.headline(axes, "Surprise", " | ".join(map(_told, bits)))
    if other is not None:
        names = [page.fit(run.path.name[:_LONGEST], page.ROOM / 2) for run in runs]
        page.legend(figure, list(zip(names, looks, strict=True)))
    return figure


def _bits(trace: Trace[Any], script: int) -> np.ndarray:
    bits = trace.surprise(script)
    if not np.isfinite(bits).any():
        raise TraceError(f"{trace.path} has no chances to draw: record it at the level topk or full.")
    return bits


def _shade(axes: Axes, bits: np.ndarray) -> None:
    """The calls at the start that draw nothing, as of a prefix."""
    first = int(np.flatnonzero(np.isfinite(bits))[0])
    if first:
        axes.axvspan(-0.5, first - 0.5, color=page.SHADE, zorder=0)


def _told(bits: np.ndarray) -> str:
    call = int(np.nanargmax(bits))
    return f"mean {np.nanmean(bits):.1f} bits, most {bits[call]:.1f} at call {call}"
