"""What the machine was told and what it said: actions and both text streams, call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dia2.inspect.schema.pictures import TrackCell, Tracks
from dia2.inspect.trace.family import offered
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 6000  # calls of a figure
_LINE = 64  # calls of a line, in which words have room for their letters
_LINES = 12
_TRACKS = {"action": 2.3, "main": 1.35, "second": 0.0}  # their bottoms
_HIGH = 0.55  # of a cell; the word stands beneath it

# kind: (meaning, look). Order is that of the legend.
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "new_word": ("new_word", {"facecolor": page.NEW, "edgecolor": page.INK}),
    "overruled": ("new_word, overruled", {"facecolor": "white", "edgecolor": page.OVERRULED}),
    "imposed": ("pad, overruled", {"facecolor": "white", "edgecolor": page.NEW, "hatch": "////"}),
    "given": ("given new_word", {"facecolor": "#f3c4a5", "edgecolor": page.NEW}),
    "swallowed": (
        "given new_word, overruled",
        {"facecolor": "white", "edgecolor": page.OVERRULED, "linestyle": (0, (2, 1))},
    ),
    "S1": ("token of S1", {"facecolor": page.SPEAKER[1], "edgecolor": page.SPEAKER[1]}),
    "S2": ("token of S2", {"facecolor": page.SPEAKER[2], "edgecolor": page.SPEAKER[2]}),
    "other": ("other token", {"facecolor": page.GREY, "edgecolor": page.GREY}),
    "pad": ("pad", {"facecolor": page.PALE, "edgecolor": page.PALE}),
}


def streams(trace: Trace[Any], first: int | None = None, last: int | None = None) -> Figure:
    """Action, main stream and second stream, in tracks over calls `first` … `last`, both included; all without them.

    The action is as it was drawn, the tokens are those that the call emitted, with the words that they are of. A drawn
    new_word is filled, outlined where the machine overruled it, and pale where the prefix gave it. More than 64 calls
    are set in lines.

    Raises:
        UsageError: there are no such calls, or too many for one figure.
        TraceError: the trace has no calls.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.streams")
    first, last = page.choose_calls(trace, first, last, _MOST)
    tracks: Tracks = offered(trace, "tracks")(trace, first, last)
    cells = tracks.cells
    fits = page.lines(last - first + 1, _LINE, _LINES)
    length = -(-(last - first + 1) // fits)
    figure = page.new_figure(fits * 0.98 + 0.8)
    rows = figure.subplots(fits, 1, squeeze=False)[:, 0]
    for i, axes in enumerate(rows):
        start = first + i * length
        _draw(axes, [cell for cell in cells if start <= cell.call < start + length], start, length)
        if trace.given_calls > start:
            axes.axvspan(start - 0.5, min(trace.given_calls, start + length) - 0.5, color=page.SHADE, zorder=0)
    rows[-1].set_xlabel("call", fontsize=8)
    kinds = {cell.kind for cell in cells}
    entries = [look for kind, look in _KINDS.items() if kind in kinds]
    if trace.given_calls > first:
        entries.append(("warm-up", {"facecolor": page.SHADE, "edgecolor": page.SHADE}))
    page.headline(rows[0], "Text streams", f"calls {first} … {last} of 0 … {len(trace) - 1} · {tracks.told}")
    page.legend(figure, entries)
    return figure


def _draw(axes: Axes, cells: list[TrackCell], start: int, length: int) -> None:
    """One line of calls, all three tracks."""
    page.style(axes, spines=(), whole="x")
    axes.set_xlim(start - 0.7, start + length - 0.3)
    axes.set_ylim(-0.68, 2.95)
    axes.set_yticks([bottom + _HIGH / 2 for bottom in _TRACKS.values()], list(_TRACKS))
    axes.tick_params(axis="y", length=0)
    gap = 0.12 if length <= 1.5 * _LINE else 0.0  # between cells, which narrow ones have no room for
    for track, bottom in _TRACKS.items():
        here = [cell for cell in cells if cell.track == track]
        for kind, (_, look) in _KINDS.items():
            spans = [(cell.call - 0.5 + gap, cell.call + 0.5 - gap) for cell in here if cell.kind == kind]
            if spans:
                page.blocks(axes, spans, bottom, _HIGH, f"{track}.{kind}", linewidth=0.7, **look)
        _write_words(axes, here, bottom, start + length, page.ROOM / length)


def _write_words(axes: Axes, cells: list[TrackCell], bottom: float, end: int, points: float) -> None:
    """Each word beneath its first token, as much of it as there is room for before the next one.

    Args:
        axes: of the line.
        cells: of one track, call after call.
        bottom: of the track.
        end: the call after the line's last one.
        points: that a call has.
    """
    begun = [(cell, cell.word) for i, cell in enumerate(cells) if cell.word is not None and (cell.number == 1 or not i)]
    starts = [*(cell.call for cell, _ in begun), end]
    for (cell, word), until in zip(begun, starts[1:], strict=True):
        call, text = cell.call, word if cell.number == 1 else f"…{word}"  # it was begun before this line
        shown = page.fit(text, (until - call) * points - 1)
        if shown:
            box = (call - 0.5, bottom - 0.62, until - call, 0.6)
            page.write(axes, call - 0.4, bottom - 0.32, shown, box)
