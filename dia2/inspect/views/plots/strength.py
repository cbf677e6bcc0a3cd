"""What steering does, over its strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dia2.analysis.strength import StrengthCurve

_INKS = (page.SPEAKER[1], page.NEW, page.ALIGNED, page.SPEAKER[2])
_MARKS = ("o", "s", "^", "D")


def strength(found: StrengthCurve) -> Figure:
    """Measures over the strength of an edit, with their intervals; dashed is the control, such as a random vector.

    Args:
        found: of `dia2.analysis.strength_curve`, with at most four measures.

    Raises:
        UsageError: that is no curve, or it has more measures.
        Dia2Error: matplotlib is missing.
    """
    if not hasattr(found, "strengths") or not 0 < len(found.mean) <= len(_INKS):
        told = "what dia2.analysis.strength_curve gives, of 1 … 4 measures"
        raise UsageError(f"plots.strength needs {told}, not {short(found)}.")
    figure = page.new_figure(2.9)
    axes = figure.subplots()
    entries = []
    for (name, mean), ink, mark in zip(found.mean.items(), _INKS, _MARKS, strict=False):
        axes.fill_between(found.strengths, found.low[name], found.high[name], color=ink, alpha=0.14, linewidth=0)
        axes.plot(found.strengths, mean, color=ink, marker=mark, markersize=4, linewidth=1.5, gid=name)
        entries.append((name, {"color": ink, "marker": mark, "markersize": 4}))
        if name in found.control:
            axes.plot(found.strengths, found.control[name], "--", color=ink, linewidth=1.0, gid=f"control of {name}")
    if found.control:
        entries.append(("dashed: the control", {"color": page.GREY, "marker": "_", "markersize": 8}))
    axes.axvline(0, color=page.PALE, linewidth=0.8, zorder=0)
    page.style(axes, found.units or "strength", "")
    axes.margins(x=0.03)
    page.headline(axes, "Over the strength", f"n = {found.scripts} scripts each, 95 % by scripts")
    page.legend(figure, entries)
    return figure
