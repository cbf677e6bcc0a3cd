"""What all plots share: figures, headings, colours, and text that is shown as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from dia2.common.checks import counted_from_0, short
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.common.messages import printable
from dia2.inspect.trace.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Okabe and Ito's colours, which are told apart with any colour vision; each stands beside a place, a shape or a word
# that says the same.
INK, GREY, PALE, SHADE = "#222222", "#6b7280", "#e4e7ea", "#f5f2ea"
SPEAKER = {1: "#0072B2", 2: "#CC79A7"}
NEW = "#D55E00"
OVERRULED = "#E69F00"
ALIGNED = "#009E73"

WIDTH = 7.0  # inches
ROOM = 6.4 * 72  # points that axes have of it, about
SIZE, SMALL = 7.5, 6.5  # points
_WIDE, _NARROW = frozenset("mwMW@%…"), frozenset("iljtfrI.,:;'!|()[] ")
_LONGEST = 60  # characters of a word that are looked at; combining ones take no room


def check_trace(trace: object, what: str) -> None:
    """Refuse what is no trace, perhaps its path.

    Args:
        trace: as the caller gave it.
        what: what needs one, as a subject: `plots.grid`.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(trace, Trace):
        raise UsageError(f"{what} needs a trace, not {short(trace)}: open one by dia2.inspect.load(path).")


def new_figure(height: float) -> Figure:
    """An empty figure, `height` inches high.

    Raises:
        Dia2Error: matplotlib is missing.
    """
    try:
        from dia2.inspect.views.plots.figure import Plot
    except ImportError as error:
        raise Dia2Error("Plots need matplotlib: pip install matplotlib.") from error
    return Plot(figsize=(WIDTH, height), dpi=110, facecolor="white", layout="constrained")


def describe(figure: Figure) -> str:
    """A figure's heading with its numbers, as one line of text for places that show no pictures."""
    headings = (axes.get_title(loc) for axes in figure.axes for loc in ("left", "right"))
    return ": ".join(heading for heading in headings if heading)


def headline(axes: Axes, title: str, facts: str, pad: float = 6.0) -> None:
    """Put a heading over `axes`: what is drawn, and its numbers."""
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK, pad=pad)
    axes.set_title(facts, loc="right", fontsize=SIZE, color=GREY, pad=pad)


def style(axes: Axes, x: str = "", y: str = "", *, spines: Sequence[str] = ("left", "bottom"), whole: str = "") -> None:
    """Make `axes` look as all do, whatever the user's defaults are.

    Args:
        axes: to change.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        spines: the sides with a line.
        whole: axes with whole numbers alone: x, y, both, or none.
    """
    from matplotlib.ticker import MaxNLocator

    axes.set_facecolor("white")
    axes.grid(visible=False)
    axes.tick_params(labelsize=SIZE, colors=INK, length=2.5, width=0.6)
    axes.set_xlabel(x, fontsize=8, color=INK)
    axes.set_ylabel(y, fontsize=8, color=INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)
        spine.set_linewidth(0.6)
        spine.set_color(GREY)
    for axis in [part for part, name in ((axes.xaxis, "x"), (axes.yaxis, "y")) if whole in (name, "both")]:
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def colour_bar(figure: Figure, axes: Axes, image: AxesImage, name: str) -> None:
    """The scale of an image, at its right."""
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=35)
    bar.ax.tick_params(labelsize=7, colors=INK, width=0.6, length=2)
    bar.set_label(name, fontsize=8, color=INK)
    bar.outline.set(edgecolor=GREY, linewidth=0.6)


def fit(text: str, room: float) -> str:
    """`text` made safe and cut to about `room` points, with an ellipsis; empty where one letter would be left."""
    text = printable(text[:_LONGEST]) + "…" * (len(text) > _LONGEST)
    if extent(text) <= room:
        return text
    ends = accumulate(map(extent, text), initial=extent("…"))  # of the text cut before each letter
    cut = sum(end <= room for end in ends) - 1
    return f"{text[:cut]}…" if cut > 1 else ""


def extent(text: str) -> float:
    """How wide a text is in points, about: what a font really takes is known when it is drawn."""
    return SMALL * sum(
        cell_len(char) * (0.95 if char in _WIDE else 0.36 if char in _NARROW else 0.72 if char.isupper() else 0.61)
        for char in text
    )


def write(
    axes: Axes, x: float, y: float, text: str, box: tuple[float, float, float, float], transform: Any = None, **how: Any
) -> None:
    """Text of a trace; neither mathtext nor TeX reads it, and the layout does not depend on it.

    Args:
        axes: to write into.
        x: in data coordinates, or in those of `transform`.
        y: likewise.
        text: made safe by `fit`.
        box: x, y, width, height: nothing is drawn outside of it, however wide or high the letters are.
        transform: `None`: of the data.
        how: looks of the text.
    """
    from matplotlib.patches import Rectangle

    transform = axes.transData if transform is None else transform
    look: dict[str, Any] = {
        "fontsize": SMALL,
        "color": INK,
        "parse_math": False,
        "usetex": False,
        "in_layout": False,
    } | how
    label = axes.text(x, y, text, transform=transform, clip_on=True, va="center_baseline", gid="word", **look)
    label.set_clip_path(Rectangle(box[:2], box[2], box[3], transform=transform))


def write_in(axes: Axes, text: str, box: tuple[float, float, float, float], points: float, **how: Any) -> None:
    """Write a word into its box, as much of it as there is room for.

    Args:
        axes: to write into.
        text: of the trace.
        box: x, y, width, height, in data coordinates.
        points: that a unit of x is wide, about.
        how: looks of the text.
    """
    x, y, width, height = box
    gap = 2.0 / points
    shown = fit(text, (width - gap) * points)
    if shown:
        write(axes, x + gap, y + height / 2, shown, box, **how)


def blocks(
    axes: Axes, spans: Iterable[tuple[float, float]], bottom: float, height: float, name: str, **how: Any
) -> None:
    """Boxes over `spans`, (start, end) each, as one artist that goes by `name` (its gid)."""
    bars = axes.broken_barh([(start, end - start) for start, end in spans], (bottom, height), **how)
    bars.set_gid(name)


def outline(axes: Axes, shapes: Sequence[Sequence[tuple[float, float]]], color: str, name: str, width: float) -> None:
    """Outline polygons, given by their corners, as one artist that goes by `name`."""
    from matplotlib.collections import PolyCollection

    lines = PolyCollection(shapes, facecolor="none", edgecolor=color, linewidth=width)
    lines.set_gid(name)
    axes.add_collection(lines, autolim=False)


def rectangle(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    """Corners of a rectangle."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def legend(figure: Figure, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """A legend beneath: labels, each with the look of its patch, or of its marker."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], label=label, linestyle="none", **look)
        if "marker" in look
        else Patch(label=label, **({"linewidth": 0.8} | look))
        for label, look in entries
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=min(4, len(handles)),
            frameon=False,
            fontsize=SIZE,
            labelcolor=INK,
            handlelength=1.3,
            handleheight=0.9,
            columnspacing=1.6,
        )


def shades(lightest: str) -> Any:
    """A scale from `lightest` to a dark blue, which is as good in greys."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("dia2", [lightest, "#7fa6c9", "#0b3c63"])


def lines(length: float, line: float, most: int) -> int:
    """How many lines to set `length` in, of at most `line` each while `most` of them suffice."""
    return max(1, min(most, math.ceil(length / line)))


def choose_calls(trace: Trace[Any], first: int | None, last: int | None, most: int) -> tuple[int, int]:
    """The calls to draw, first and last one; all without them.

    Raises:
        UsageError: there are no such calls, or more than `most`.
        TraceError: the trace has no calls at all.
    """
    count = len(trace)
    if not count:
        raise TraceError(f"{trace.path} has no calls to draw ({trace.state}).")
    first = 0 if first is None else counted_from_0(first, "call")
    last = count - 1 if last is None else counted_from_0(last, "call")
    for call in (first, last):
        if not 0 <= call < count:
            raise UsageError(f"There is no call {short(call)}: {trace.path} has calls 0 … {count - 1}.")
    if last < first:
        raise UsageError(f"Calls {first} to {last} do not exist: the last must not come before the first.")
    if last - first >= most:
        raise UsageError(f"{last - first + 1:,} calls are too many for one figure: draw {most} with first= and last=.")
    return first, last
