"""The runs of a sweep, beneath each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dia2.adapter.sweep import Sweep
    from dia2.adapter.trace import Dia2Trace


def sweep(runs: Sweep) -> Figure:
    """Every run of a sweep as a line of its words over its calls, grey as long as it is the first run.

    Where a run parts from the first one stands a mark. `runs.rows()` has the same as numbers.

    Raises:
        UsageError: `runs` is no sweep.
        Dia2Error: matplotlib is missing.
    """
    if not hasattr(runs, "variants"):
        raise UsageError(f"plots.sweep needs what dia2.inspect.sweep gives, runs of Dia2, not {short(runs)}.")
    parted = [row["parts_at"] for row in runs.rows()]
    longest = max(len(variant.trace) for variant in runs.variants)
    figure = page.new_figure(1.0 + 0.3 * len(runs.variants))
    axes = figure.subplots()
    page.style(axes, x="call", spines=("bottom",), whole="x")
    axes.set_xlim(-0.5, longest - 0.5)
    axes.set_ylim(len(runs.variants) - 0.5, -0.5)
    axes.set_yticks(range(len(runs.variants)), [str(variant) for variant in runs.variants])
    axes.tick_params(axis="y", length=0)
    points = 0.7 * page.ROOM / longest  # that a call is wide, about, beside the runs' names
    for row, (variant, at) in enumerate(zip(runs.variants, parted, strict=True)):
        _words(axes, variant.trace, row, len(variant.trace) if at is None else at, points)
        if at is not None:
            axes.plot([at - 0.5] * 2, [row - 0.45, row + 0.45], color=page.NEW, linewidth=1.6)[0].set_gid("parts")
    moved = sum(at is not None for at in parted)
    page.headline(
        axes,
        f"{counted(len(runs.variants), 'run')} of one script",
        f"{moved} part{'s' * (moved == 1)} from the first one",
    )
    page.legend(
        figure,
        [
            ("a word, as in the first run", {"facecolor": page.PALE, "edgecolor": page.GREY}),
            ("of speaker 1, after it parted", {"facecolor": "none", "edgecolor": page.SPEAKER[1]}),
            ("of speaker 2", {"facecolor": "none", "edgecolor": page.SPEAKER[2]}),
            ("where it parts", {"facecolor": page.NEW, "edgecolor": "none"}),
        ],
    )
    return figure


def _words(axes: Axes, trace: Dia2Trace, row: int, same: int, points: float) -> None:
    """A box for each word from the call that takes it to the next word's; grey before call `same`."""
    words = [word for word in trace.words if word.call is not None]
    starts = [word.call for word in words if word.call is not None]
    ends = [*starts[1:], len(trace)]
    for word, start, end in zip(words, starts, ends, strict=True):
        face, edge, ink = page.PALE, page.GREY, page.GREY
        if start >= same:
            face, edge, ink = "white", page.SPEAKER.get(word.speaker, page.GREY), page.INK
        box = (start - 0.5, row - 0.36, end - start, 0.72)
        page.blocks(
            axes, [(start - 0.5, end - 0.5)], *box[1::2], "word box", linewidth=0.7, facecolor=face, edgecolor=edge
        )
        page.write_in(axes, word.text, box, points, color=ink)
