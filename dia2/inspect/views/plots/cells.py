"""The delayed grid of audio codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.schema.report import Grid
from dia2.inspect.trace.reports import reports_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page
from dia2.inspect.views.span import choose_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PALE = 0.45  # opacity of what was given


def grid(
    trace: Trace[Any], first: int | None = None, last: int | None = None, *, frame: int | None = None, script: int = 0
) -> Figure:
    """The delayed grid, codebook × column: what call after call wrote, each cell coloured by its code.

    Cells that nothing was generated for are empty, those of a prefix or a prompt pale. The codes of one frame of audio
    are outlined: they stand as many columns apart as their codebooks' delays.

    Args:
        trace: with codes.
        first: column to draw from, of Dia row; `None`: the first.
        last: column to draw to, included; `None`: the last.
        frame: of the audio before cropping, whose codes are outlined; `None`: one in the middle.
        script: whose, from 0.

    Raises:
        UsageError: there are no such columns, or no such frame in them.
        TraceError: the grid is empty, or the voice was redacted.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.grid")
    whole = reports_of(trace).grid(trace, trace.check_script(script))
    columns = whole.cells.shape[1]
    start, end = choose_columns(trace, first, last, fits=columns, count=columns, what=whole.across)
    signs = whole.cells[:, start : end + 1]
    codebooks = len(whole.codes)
    outlined = _frame(whole, start, end, frame)
    figure = page.new_figure(min(8.0, 1.2 + max(0.11, min(0.26, 4.2 / codebooks)) * codebooks))
    axes = figure.subplots()
    empty = np.isin(signs, [sign for sign, told in whole.signs.items() if not told.code])
    given, over = (_of(whole, signs, look) for look in ("label", "mark"))
    image = axes.imshow(
        np.ma.masked_array(whole.codes[:, start : end + 1], empty),
        aspect="auto",
        interpolation="nearest",
        cmap=page.shades("#e3ebf3"),
        vmin=0,
        vmax=whole.vocabulary - 1,
        alpha=np.where(given, _PALE, 1.0),
        extent=(start - 0.5, end + 0.5, codebooks - 0.5, -0.5),
    )
    page.style(axes, whole.axis or whole.across, f"{trace.adapter.codebook} and its delay", whole="x")
    page.outline(axes, _regions(given, start), page.INK, "prefix", 0.8)
    page.outline(axes, _regions(over, start), page.OVERRULED, "overwritten", 1.3)
    if outlined is not None and whole.delays is not None:
        places = [outlined + delay + whole.offset for delay in whole.delays]
        boxes = [page.rectangle(place - 0.5, k - 0.5, 1, 1) for k, place in enumerate(places) if start <= place <= end]
        page.outline(axes, boxes, page.ALIGNED, "frame", 1.5)
    delays = [""] * codebooks if whole.delays is None else [f"  +{delay}" for delay in whole.delays]
    names = [f"{whole.line}{k}{delay}" for k, delay in enumerate(delays)]
    axes.set_yticks(range(codebooks), names, fontsize=7.5 if codebooks <= 16 else 6)
    page.colour_bar(figure, axes, image, "code")
    page.headline(axes, "Delayed grid", _facts(trace, whole, start, end))
    page.legend(figure, _legend(whole, signs, outlined))
    return figure


def _of(whole: Grid, signs: np.ndarray, look: str) -> np.ndarray:
    """[K, columns] where a sign with a code stands that has this style."""
    return np.isin(signs, [sign for sign, told in whole.signs.items() if told.code and told.style == look])


def _frame(whole: Grid, start: int, end: int, frame: int | None) -> int | None:
    """The frame to outline; `None` if the columns hold no part of one."""
    if whole.delays is None:
        return None
    near, far = (extreme(whole.delays) + whole.offset for extreme in (min, max))
    least, most = max(0, start - far), min(end - near, whole.cells.shape[1] - far - 1)
    if frame is None:
        middle = (start + end - far - near) // 2
        return None if most < least else min(max(middle, least), most)
    frame = counted_from_0(frame, "frame")
    if not least <= frame <= most:
        raise UsageError(
            f"There is no frame {short(frame)} in {whole.across}s {start} … {end}: they hold frames {least} … {most}."
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


def _facts(trace: Trace[Any], whole: Grid, start: int, end: int) -> str:
    columns, frames = whole.cells.shape[1], whole.facts.get("frames")
    shown = counted(columns, whole.across)
    if end - start + 1 < columns:
        shown = f"{whole.across}s {start} … {end} of {columns}"
    told = [counted(len(whole.codes), trace.adapter.codebook), shown]
    told += [] if frames is None else [counted(frames, "frame")]
    given, count = whole.given
    return " · ".join(told + ([f"{given} {counted(count, 'frame')}"] if count else []))


def _legend(whole: Grid, signs: np.ndarray, outlined: int | None) -> list[tuple[str, dict[str, object]]]:
    entries: list[tuple[str, dict[str, object]]] = []
    if outlined is not None:
        entries.append((f"frame {outlined}", {"facecolor": "none", "edgecolor": page.ALIGNED, "linewidth": 1.5}))
    for sign, found in whole.signs.items():
        told = found.told or found.meaning
        if not (signs == sign).any() or told in (name for name, _ in entries):
            continue
        if not found.code:
            entries.append((told, {"facecolor": "white", "edgecolor": "#c9ced4"}))
        elif found.style == "label":
            entries.append((told, {"facecolor": "#bfd2e4", "edgecolor": page.INK}))
        elif found.style == "mark":
            entries.append((told, {"facecolor": "none", "edgecolor": page.OVERRULED, "linewidth": 1.3}))
    return entries
