"""How the key/value caches fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.wording import counted
from dia2.inspect.schema.caches import Caches
from dia2.inspect.store.layout import MAX_CALLS
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS: dict[str, dict[str, Any]] = {  # of `Curve`
    "filled": {"color": page.SPEAKER[1], "linewidth": 3, "alpha": 0.45},
    "beside": {"color": page.NEW, "linewidth": 1.1, "linestyle": (0, (4, 2))},
    "between": {"color": page.INK, "linewidth": 1.1},
    "small": {"color": page.SPEAKER[1], "linewidth": 1.1},
}


def kv_growth(trace: Trace[Any]) -> Figure:
    """How the caches fill, call after call.

    Of Dia2: the transformer's with the rotary position beside it, and the depformer's, which is emptied before every
    frame. In between is the difference of slot and position: after a prefix a call's slot is its position + 1, because
    the prefix's last step is decoded twice. Of Dia: that of self-attention, and the text that cross-attention looks at.

    Raises:
        TraceError: the trace has no calls, or its family tells nothing of caches.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.kv_growth")
    page.choose_calls(trace, None, None, MAX_CALLS)
    caches = trace.caches()
    figure = page.new_figure(2.1 + 0.6 * len(caches.panels))
    ratios = [3.2, *[1.0] * (len(caches.panels) - 1)]
    rows = figure.subplots(len(caches.panels), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    for axes, panel in zip(rows, caches.panels, strict=True):
        for curve in panel.curves:
            calls = np.arange(len(curve.values))
            (line,) = axes.plot(calls, curve.values, drawstyle="steps-mid", **_LOOKS[curve.look])
            line.set_gid(curve.name)
        page.style(axes, y=panel.title, whole="both")
        axes.set_xlim(-0.5, len(trace) - 0.5)
        axes.margins(y=0.18 if axes is not rows[0] else 0.05)
        if trace.given_calls:
            axes.axvspan(-0.5, trace.given_calls - 0.5, color=page.SHADE, zorder=0).set_gid(caches.given)
        if axes is not rows[0]:
            axes.set_yticks(np.unique(panel.curves[0].values)[:6])
    rows[-1].set_xlabel("call", fontsize=8)
    figure.align_ylabels(list(rows))
    page.headline(rows[0], "Key/value caches", caches.told)
    page.legend(figure, _legend(trace, caches))
    return figure


def _legend(trace: Trace[Any], caches: Caches) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = []
    for curve in (curve for panel in caches.panels for curve in panel.curves if curve.told):
        look = _LOOKS[curve.look]
        patch = {"facecolor": look["color"], "edgecolor": "none"}
        entries.append((curve.told, patch | ({"alpha": look["alpha"]} if "alpha" in look else {})))
    if trace.given_calls:
        entries.append(
            (f"{caches.given}, {counted(trace.given_calls, 'call')}", {"facecolor": page.SHADE, "edgecolor": page.GREY})
        )
    return entries
