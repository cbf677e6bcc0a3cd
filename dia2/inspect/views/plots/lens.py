"""What would be drawn after each layer, over a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.views.plots import page
from dia2.inspect.views.plots.pointname import short_name
from dia2.inspect.views.plots.wordaxis import AxisWord, over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dia2.analysis.lens import LogitLens

_MOST = 400  # calls of a figure
_COSTLY = 6.0  # nats, and more looks the same


def lens(found: LogitLens, head: str = "cb0") -> Figure:
    """How unlikely what the run drew was after each layer, as a heat map over its calls, with the words above.

    A dot stands where the likeliest token is that of the last layer already.

    Args:
        found: of `dia2.analysis.logit_lens`.
        head: `cb0` or `action`.

    Raises:
        UsageError: that is no lens, there is no such head, or there are more calls than one figure can hold.
        Dia2Error: matplotlib is missing.
    """
    if not hasattr(found, "cb0"):
        raise UsageError(f"plots.lens needs what dia2.analysis.logit_lens gives, not {short(found)}.")
    if head not in ("cb0", "action"):
        raise UsageError(f"A head is cb0 or action, not {short(head)}.")
    if len(found.calls) > _MOST:
        raise UsageError(f"{len(found.calls)} calls are too many for one figure: ask logit_lens for {_MOST} at most.")
    read = found.cb0 if head == "cb0" else found.action
    calls, layers = read.nll.shape
    figure = page.new_figure(1.9 + 0.2 * layers)
    axes = figure.subplots()
    image = axes.imshow(
        read.nll.T,
        aspect="auto",
        interpolation="nearest",
        cmap=page.shades("#f4f7fa"),
        vmin=0.0,
        vmax=min(_COSTLY, max(float(read.nll.max()), 1e-3)),
        origin="lower",
    )
    row, column = np.nonzero(read.same.T)
    dark = read.nll[column, row] > 0.45 * image.get_clim()[1]
    size = min(2.0, 0.4 * page.ROOM / calls)
    for part, ink in ((dark, "white"), (~dark, page.GREY)):
        axes.plot(column[part], row[part], "o", markersize=size, color=ink, markeredgewidth=0, gid="same")
    page.style(axes, "call", "")
    axes.set_yticks(range(layers), [short_name(point) for point in found.points])
    numbers = [column for column, call in enumerate(found.calls) if call % (10 if calls > 40 else 5) == 0]
    axes.set_xticks(numbers, [str(found.calls[column]) for column in numbers])
    place = {call: column for column, call in enumerate(found.calls)}
    words = [
        AxisWord(word.text, word.speaker, min(columns), max(columns))
        for word in found.words
        if (columns := [place[call] for call in range(word.first, word.last + 1) if call in place])
    ]
    pad = over(axes, words, 0, calls - 1, 0.88 * page.ROOM)
    what = {"cb0": "codebook 0", "action": "the action"}[head]
    title = f"{'Tuned' if found.tuned else 'Logit'} lens of {what}"
    half = f"{read.same[:, layers // 2].mean():.0%} decided after {short_name(found.points[layers // 2])}"
    page.headline(axes, title, f"{calls} calls · {half}", pad)
    page.colour_bar(figure, axes, image, "−ln p of what was drawn")
    dot = {"marker": "o", "color": page.GREY, "markersize": 3.0, "markeredgewidth": 0}
    page.legend(figure, [("the likeliest is the last layer's already", dot)])
    return figure
