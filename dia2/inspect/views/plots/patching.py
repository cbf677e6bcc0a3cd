"""What each patch takes back."""

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

    from dia2.analysis.patching import PatchingGrid

_NUMBERED = 160  # cells up to which each says its number
_ROWS = 120
_COLUMNS = 200


def patching(found: PatchingGrid) -> Figure:
    """The share of the difference between two runs that each patch takes back, points down and positions across.

    Where positions are calls, the words whose sound they draw stand above.

    Args:
        found: of `dia2.analysis.activation_patching`.

    Raises:
        UsageError: that is no grid, both runs have the same metric, or the grid is too large for one figure.
        Dia2Error: matplotlib is missing.
    """
    if not hasattr(found, "restored"):
        raise UsageError(f"plots.patching needs what dia2.analysis.activation_patching gives, not {short(found)}.")
    restored = found.restored
    rows, columns = restored.shape
    if rows > _ROWS or columns > _COLUMNS:
        raise UsageError(f"A grid of {rows} × {columns} is too large for one figure: patch fewer points or positions.")
    figure = page.new_figure(min(9.0, 1.3 + 0.22 * rows + 0.5 * bool(found.words)))
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.subplots()
    scale = LinearSegmentedColormap.from_list(
        "taken", [(0, page.NEW), (0.5, "#f7f7f5"), (0.75, "#7fa6c9"), (1, "#0b3c63")]
    )
    image = axes.imshow(restored, aspect="auto", interpolation="nearest", cmap=scale, vmin=-1.0, vmax=1.0)
    numbered = restored.size <= _NUMBERED
    if numbered:
        for row, column in np.ndindex(restored.shape):
            value = round(100 * float(restored[row, column]))
            ink = "white" if value > 50 or value < -75 else page.INK
            told = str(value).replace("-", "−") if value else ""
            axes.text(column, row, told, ha="center", va="center", fontsize=page.SMALL, color=ink, gid="share")
    page.style(axes, "patched at", "")
    axes.set_yticks(range(rows), list(map(short_name, found.rows)))
    step = max(1, -(-columns // 24))
    places = range(0, columns, step)
    names = [page.fit(found.columns[column], 90) for column in places]
    crowded = sum(map(page.extent, names)) > 0.75 * page.ROOM
    axes.set_xticks(places, names, rotation=60 if crowded else 0, ha="right" if crowded else "center", parse_math=False)
    if crowded:
        for label in axes.get_xticklabels():
            label.set_rotation_mode("anchor")
    best = np.unravel_index(int(np.argmax(restored)), restored.shape)
    most = f"most: {restored[best]:.0%}, {short_name(found.rows[best[0]])}"
    place = {name: column for column, name in enumerate(found.columns)}
    words = [
        AxisWord(word.text, word.speaker, min(here), max(here))
        for word in found.words
        if (here := [place[str(call)] for call in range(word.first, word.last + 1) if str(call) in place])
    ]
    pad = over(axes, words, 0, columns - 1, 0.86 * page.ROOM) if words else 6.0
    facts = f"clean {found.clean:.2f}, corrupted {found.corrupted:.2f} · {most}"
    page.headline(axes, "What a patch takes back", facts, pad)
    page.colour_bar(figure, axes, image, "share taken back" + (" (numbers: %)" if numbered else ""))
    return figure
