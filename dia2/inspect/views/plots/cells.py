"""The delayed grid of audio codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.checks import check_trace
from dia2.adapter.grid import cell_kinds
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.views.plots.page import (
    ALIGNED,
    INK,
    OVERRULED,
    colour_bar,
    headline,
    legend,
    new_figure,
    outline,
    rectangle,
    shades,
    style,
)
from dia2.inspect.views.span import choose_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EMPTY = "·-_"  # signs of cells without a code that counts, see `dia2.adapter.grid.SIGNS`
_PALE = 0.45  # opacity of the prefix


def grid(trace: Dia2Trace, first: int | None = None, last: int | None = None, *, frame: int | None = None) -> Figure:
    """The delayed grid, codebook × column: what call after call wrote, each cell coloured by its code.

    Cells that nothing was generated for are empty, those of the prefix pale. The codes of one frame of audio are
    outlined: they stand as many columns apart as their codebooks' delays.

    Args:
        trace: with codes.
        first: column to draw from; `None`: the first.
        last: column to draw to, included; `None`: the last.
        frame: of the audio before cropping, whose codes are outlined; `None`: one in the middle.

    Raises:
        UsageError: there are no such columns, or no such frame in them.
        TraceError: the grid is empty, or the voice was redacted.
        Dia2Error: matplotlib is missing.
    """
    check_trace(trace, "plots.grid")
    columns = trace.raw_grid.shape[1]
    start, end = choose_columns(trace, first, last, fits=columns, count=columns)
    kinds = cell_kinds(trace)[:, start : end + 1]
    codebooks = trace.model.codebooks
    outlined = _frame(trace, start, end, frame)
    figure = new_figure(min(8.0, 1.2 + max(0.11, min(0.26, 4.2 / codebooks)) * codebooks))
    axes = figure.subplots()
    codes = np.ma.masked_array(trace.grid[:, start : end + 1], np.isin(kinds, list(_EMPTY)))
    image = axes.imshow(
        codes,
        aspect="auto",
        interpolation="nearest",
        cmap=shades("#e3ebf3"),
        vmin=0,
        vmax=trace.model.audio_vocabulary - 1,
        alpha=np.where(kinds == "p", _PALE, 1.0),
        extent=(start - 0.5, end + 0.5, codebooks - 0.5, -0.5),
    )
    style(axes, "column (a call at step s writes column s + 1)", "codebook and its delay", whole="x")
    outline(axes, _regions(kinds == "p", start), INK, "prefix", 0.8)
    outline(axes, _regions(kinds == "x", start), OVERRULED, "overwritten", 1.3)
    if outlined is not None:
        boxes = [rectangle(outlined + delay - 0.5, k - 0.5, 1, 1) for k, delay in enumerate(trace.model.delays)]
        outline(axes, [box for box in boxes if start <= box[0][0] + 0.5 <= end], ALIGNED, "frame", 1.5)
    _axes(axes, trace)
    colour_bar(figure, axes, image, "code")
    headline(axes, "Delayed grid", _facts(trace, start, end))
    legend(figure, _legend(kinds, outlined))
    return figure


def _frame(trace: Dia2Trace, start: int, end: int, frame: int | None) -> int | None:
    """The frame to outline; `None` if the columns hold no part of one."""
    delays, columns = trace.model.delays, trace.raw_grid.shape[1]
    least, most = max(0, start - max(delays)), min(end - min(delays), columns - max(delays) - 1)
    if frame is None:
        middle = (start + end - max(delays) - min(delays)) // 2
        return None if most < least else min(max(middle, least), most)
    frame = counted_from_0(frame, "frame")
    if not least <= frame <= most:
        raise UsageError(
            f"There is no frame {short(frame)} in columns {start} … {end}: they hold frames {least} … {most}."
        )
    return frame


def _regions(there: np.ndarray, start: int) -> list[list[tuple[float, float]]]:
    """Outlines of what is `there` [K, columns from `start`], where each codebook has its cells in one piece.

    Codebooks one below the other share an outline; one without cells parts them.
    """
    regions: list[list[tuple[float, float]]] = []
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    for k, row in enumerate([*there, np.zeros(there.shape[1], dtype=bool)]):
        columns = np.flatnonzero(row)
        if len(columns):
            left += [(start + columns[0] - 0.5, k - 0.5), (start + columns[0] - 0.5, k + 0.5)]
            right += [(start + columns[-1] + 0.5, k - 0.5), (start + columns[-1] + 0.5, k + 0.5)]
        elif left:
            regions.append(left + right[::-1])
            left, right = [], []
    return regions


def _axes(axes: Axes, trace: Dia2Trace) -> None:
    size = 7.5 if trace.model.codebooks <= 16 else 6
    names = [f"cb{k}  +{delay}" for k, delay in enumerate(trace.model.delays)]
    axes.set_yticks(range(len(names)), names, fontsize=size)


def _facts(trace: Dia2Trace, start: int, end: int) -> str:
    columns = trace.raw_grid.shape[1]
    frames = max(0, columns - max(trace.model.delays))
    shown = f"columns {start} … {end} of {columns}" if end - start + 1 < columns else counted(columns, "column")
    prefix = f" · prefix {counted(trace.run.prefix_frames, 'frame')}" if trace.run.prefix_frames else ""
    return f"{counted(trace.model.codebooks, 'codebook')} · {shown} · {counted(frames, 'frame')}{prefix}"


def _legend(kinds: np.ndarray, outlined: int | None) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = []
    if outlined is not None:
        entries.append((f"frame {outlined}", {"facecolor": "none", "edgecolor": ALIGNED, "linewidth": 1.5}))
    if (kinds == "p").any():
        entries.append(("prefix (pale)", {"facecolor": "#bfd2e4", "edgecolor": INK}))
    if (kinds == "x").any():
        entries.append(("generated over the prefix", {"facecolor": "none", "edgecolor": OVERRULED, "linewidth": 1.3}))
    if np.isin(kinds, list(_EMPTY)).any():
        entries.append(("not generated, or before the delay", {"facecolor": "white", "edgecolor": "#c9ced4"}))
    return entries
