"""A number for each head: layers up, heads across."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dia2.analysis.ablation import HeadAblation
    from dia2.analysis.patterns import HeadTable

_NUMBERED = 160  # heads up to which each says its number


def head_grid(*found: HeadTable | HeadAblation) -> Figure:
    """What is known of each head; several tables stand side by side.

    Of a table of attention: how much more the head looks at the word being spoken than by distance alone. Of an
    ablation: what its loss costs codebook 0. Framed is a number whose interval leaves out 0.

    Args:
        found: one to three of what `dia2.analysis.head_table` and `ablate_heads` give.

    Raises:
        UsageError: that is no table, or there are more.
        Dia2Error: matplotlib is missing.
    """
    if not 0 < len(found) <= 3 or not all(hasattr(one, "excess") or hasattr(one, "intact") for one in found):
        told = "one to three of what dia2.analysis.head_table and ablate_heads give"
        raise UsageError(f"plots.head_grid needs {told}, not {short(found)}.")
    tables = [_table(one) for one in found]
    figure = page.new_figure(1.6 + 0.26 * max(len(values) for values, *_ in tables))
    columns = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (values, sure, title, scale), one in zip(columns, tables, found, strict=True):
        _draw(figure, axes, values, sure, scale)
        page.headline(axes, title, f"{one.calls:,} calls, {counted(one.runs, 'run')}")
    page.legend(figure, [("its 95 % interval leaves out 0", {"facecolor": "none", "edgecolor": page.NEW})])
    return figure


def _table(found: HeadTable | HeadAblation) -> tuple[np.ndarray, np.ndarray, str, float]:
    """Values and whether they are sure [layers, heads], a title, and by what values are multiplied to be told."""
    table: Any = found  # which of both its attributes tell
    if hasattr(table, "excess"):
        return table.excess, (table.low > 0) | (table.high < 0), "Attention to the word, %", 100.0
    low, high = table.low["cb0"], table.high["cb0"]
    return table.cb0, (low > 0) | (high < 0), "Cost of its loss, nats", 1.0


def _draw(figure: Figure, axes: Axes, values: np.ndarray, sure: np.ndarray, scale: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    stops = ((0.0, page.NEW), (0.5, "#f7f7f5"), (0.75, "#7fa6c9"), (1.0, "#0b3c63"))
    most = float(np.abs(values).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("heads", stops)
    axes.imshow(values, aspect="auto", interpolation="nearest", cmap=colours, vmin=-most, vmax=most, origin="lower")
    layers, count = values.shape
    page.style(axes, "head", "layer")
    axes.set_xticks(range(count))
    axes.set_yticks(range(layers))
    if values.size <= _NUMBERED:
        for (layer, head), value in np.ndenumerate(values):
            told = f"{scale * value:.0f}" if scale > 1 else f"{value:.2f}"
            ink = "white" if value > 0.5 * most or value < -0.75 * most else page.INK
            shown = told.replace("-", "−") if float(told) else ""
            axes.text(head, layer, shown, ha="center", va="center", fontsize=page.SMALL, color=ink, gid="share")
    boxes = [page.rectangle(head - 0.46, layer - 0.44, 0.92, 0.88) for layer, head in np.argwhere(sure)]
    page.outline(axes, boxes, page.NEW, "sure", 0.9)
