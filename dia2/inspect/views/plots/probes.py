"""What can be read from each layer, beside what can be read without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.views.plots import page
from dia2.inspect.views.plots.pointname import short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dia2.analysis.probes import ProbeScores


def probes(*found: ProbeScores) -> Figure:
    """Scores by point, with their intervals, and the baselines; several labels stand side by side.

    Args:
        found: of `dia2.analysis.probe`, with the same points.

    Raises:
        UsageError: that is no score, there is none, or there are more than four.
        Dia2Error: matplotlib is missing.
    """
    if not 0 < len(found) <= 4 or not all(hasattr(one, "shuffled") for one in found):
        raise UsageError(f"plots.probes needs one to four of what dia2.analysis.probe gives, not {short(found)}.")
    figure = page.new_figure(2.7)
    columns = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, one in zip(columns, found, strict=True):
        places = range(len(one.points))
        below, above = (one.score - one.low).clip(0), (one.high - one.score).clip(0)
        axes.axhline(one.majority, color=page.GREY, linewidth=1.0, linestyle="--", gid="majority")
        axes.plot(places, one.shuffled, "x", color=page.OVERRULED, markersize=5, markeredgewidth=1.4, gid="shuffled")
        if len(one.untrained):
            axes.plot(places, one.untrained, "+", color=page.INK, markersize=6, markeredgewidth=1.4, gid="untrained")
        axes.errorbar(
            places, one.score, [below, above], color=page.SPEAKER[1], marker="o", markersize=4, linewidth=1.4, capsize=2
        )
        low = min(
            0.0 if one.classes else -0.1, float(one.shuffled.min()), float(one.low.min()), *map(float, one.untrained)
        )
        axes.set_ylim(max(low, -1.0) - 0.02, 1.03)
        page.style(axes, "", one.measure if axes is columns[0] or one.measure != found[0].measure else "")
        names = list(map(short_name, one.points))
        axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 5 and len(found) > 2 else 0)
        axes.set_xlabel("read at", fontsize=8, color=page.INK)
        kinds = f"{len(one.classes)} classes, " if one.classes else ""
        page.headline(axes, one.target, "")
        told = f"{kinds}n = {one.calls[1]:,} in {one.runs[1]} runs"
        axes.set_title(told, loc="right", fontsize=6.5, color=page.GREY, pad=6.0, gid="facts")
    any_untrained = any(len(one.untrained) for one in found)
    look = {"color": page.SPEAKER[1], "marker": "o", "markersize": 4}
    page.legend(
        figure,
        [
            ("probe, unseen runs (95 % by runs)", look),
            ("shuffled labels", {"color": page.OVERRULED, "marker": "x", "markersize": 5}),
            *([("untrained network", {"color": page.INK, "marker": "+", "markersize": 6})] if any_untrained else []),
            ("commonest, or the mean", {"color": page.GREY, "marker": "_", "markersize": 8}),
        ],
    )
    return figure
