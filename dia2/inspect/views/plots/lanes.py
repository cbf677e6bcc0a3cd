"""What the machine was told and what it said: actions and both text streams, call by call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dia2.adapter.checks import check_trace
from dia2.adapter.machine import Labels, Part, Verdict, labels, verdict
from dia2.adapter.trace import Dia2Trace
from dia2.common.wording import counted
from dia2.inspect.views.plots.page import (
    GREY,
    INK,
    NEW,
    OVERRULED,
    PALE,
    ROOM,
    SHADE,
    SPEAKER,
    blocks,
    choose_calls,
    fit,
    headline,
    legend,
    lines,
    new_figure,
    style,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 6000  # calls of a figure
_LINE = 64  # calls of a line, in which words have room for their letters
_LINES = 12
_LANES = {"action": 2.3, "main": 1.35, "second": 0.0}  # their bottoms
_HIGH = 0.55  # of a cell; the word stands beneath it

# kind: (meaning, look). Order is that of the legend.
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "new_word": ("new_word", {"facecolor": NEW, "edgecolor": INK}),
    "overruled": ("new_word, overruled", {"facecolor": "white", "edgecolor": OVERRULED}),
    "imposed": ("pad, overruled", {"facecolor": "white", "edgecolor": NEW, "hatch": "////"}),
    "given": ("given new_word", {"facecolor": "#f3c4a5", "edgecolor": NEW}),
    "swallowed": (
        "given new_word, overruled",
        {"facecolor": "white", "edgecolor": OVERRULED, "linestyle": (0, (2, 1))},
    ),
    "S1": ("token of S1", {"facecolor": SPEAKER[1], "edgecolor": SPEAKER[1]}),
    "S2": ("token of S2", {"facecolor": SPEAKER[2], "edgecolor": SPEAKER[2]}),
    "other": ("other token", {"facecolor": GREY, "edgecolor": GREY}),
    "pad": ("pad", {"facecolor": PALE, "edgecolor": PALE}),
}


@dataclass(frozen=True)
class _Cell:
    """What one call did in one lane."""

    call: int
    lane: str
    kind: str  # of _KINDS
    part: Part | None = None  # of a word


def streams(trace: Dia2Trace, first: int | None = None, last: int | None = None) -> Figure:
    """Action, main stream and second stream, in lanes over calls `first` … `last`, both included; all without them.

    The action is as it was drawn, the tokens are those that the call emitted, with the words that they are of. A drawn
    new_word is filled, outlined where the machine overruled it, and pale where the prefix gave it. More than 64 calls
    are set in lines.

    Raises:
        UsageError: there are no such calls, or too many for one figure.
        TraceError: the trace has no calls.
        Dia2Error: matplotlib is missing.
    """
    check_trace(trace, "plots.streams")
    first, last = choose_calls(trace, first, last, _MOST)
    parts = list(labels(trace, last + 1))
    cells = [cell for call in range(first, last + 1) for cell in _cells(trace, call, parts[call])]
    fits = lines(last - first + 1, _LINE, _LINES)
    length = -(-(last - first + 1) // fits)
    figure = new_figure(fits * 0.98 + 0.8)
    rows = figure.subplots(fits, 1, squeeze=False)[:, 0]
    for i, axes in enumerate(rows):
        start = first + i * length
        _draw(axes, [cell for cell in cells if start <= cell.call < start + length], start, length)
        if trace.warmup_calls > start:
            axes.axvspan(start - 0.5, min(trace.warmup_calls, start + length) - 0.5, color=SHADE, zorder=0)
    rows[-1].set_xlabel("call", fontsize=8)
    kinds = {cell.kind for cell in cells}
    entries = [look for kind, look in _KINDS.items() if kind in kinds]
    if trace.warmup_calls > first:
        entries.append(("warm-up", {"facecolor": SHADE, "edgecolor": SHADE}))
    headline(rows[0], "Text streams", _facts(trace, first, last, parts, cells))
    legend(figure, entries, columns=4)
    return figure


def _facts(trace: Dia2Trace, first: int, last: int, parts: list[Labels], cells: list[_Cell]) -> str:
    taken = sum(label.taken is not None and bool(label.taken.tokens) for label in parts[first : last + 1])
    overruled = sum(cell.kind in ("overruled", "imposed", "swallowed") for cell in cells)
    told = f"{counted(taken, 'word')} taken · {counted(overruled, 'action')} overruled"
    return f"calls {first} … {last} of 0 … {len(trace) - 1} · {told}"


def _cells(trace: Dia2Trace, call: int, label: Labels) -> Iterator[_Cell]:
    ids = trace.model.tokens
    yield _Cell(call, "action", _action_kind(verdict(trace, call, label.taken), trace.second[call] == ids.new_word))
    for lane, token, part in (
        ("main", int(trace.main[call]), label.main),
        ("second", int(trace.second[call]), label.second),
    ):
        kind = {ids.pad: "pad", ids.new_word: "new_word"}.get(token, "other")
        if part is not None:
            kind = f"S{part.speaker}" if part.speaker in SPEAKER else "other"
        yield _Cell(call, lane, kind, part)


def _action_kind(found: Verdict, last: bool) -> str:
    """A kind of `_KINDS`; `last`: the call emitted a new_word, as the first one does for which no word is left.

    From the calls after it the machine demands words, too, and nothing comes of it: a pad stays a pad.
    """
    overruled = found.overruled is not None
    if found.drawn == "pad":
        return "imposed" if overruled and (last or found.outcome != "end") else "pad"
    if found.given:
        return "swallowed" if overruled else "given"
    return "overruled" if overruled else "new_word"


def _draw(axes: Axes, cells: list[_Cell], start: int, length: int) -> None:
    """One line of calls, all three lanes."""
    style(axes, spines=(), whole="x")
    axes.set_xlim(start - 0.7, start + length - 0.3)
    axes.set_ylim(-0.68, 2.95)
    axes.set_yticks([bottom + _HIGH / 2 for bottom in _LANES.values()], list(_LANES))
    axes.tick_params(axis="y", length=0)
    gap = 0.12 if length <= 1.5 * _LINE else 0.0  # between cells, which narrow ones have no room for
    for lane, bottom in _LANES.items():
        here = [cell for cell in cells if cell.lane == lane]
        for kind, (_, look) in _KINDS.items():
            spans = [(cell.call - 0.5 + gap, cell.call + 0.5 - gap) for cell in here if cell.kind == kind]
            if spans:
                blocks(axes, spans, bottom, _HIGH, f"{lane}.{kind}", linewidth=0.7, **look)
        _write_words(axes, here, bottom, start + length, ROOM / length)


def _write_words(axes: Axes, cells: list[_Cell], bottom: float, end: int, points: float) -> None:
    """Each word beneath its first token, as much of it as there is room for before the next one.

    Args:
        axes: of the line.
        cells: of one lane, call after call.
        bottom: of the lane.
        end: the call after the line's last one.
        points: that a call has.
    """
    begun = [(cell.call, cell.part) for i, cell in enumerate(cells) if cell.part and (cell.part.number == 1 or not i)]
    starts = [*(call for call, _ in begun), end]
    for (call, part), until in zip(begun, starts[1:], strict=True):
        text = part.word if part.number == 1 else f"…{part.word}"  # it was begun before this line
        shown = fit(text, (until - call) * points - 1)
        if shown:
            box = (call - 0.5, bottom - 0.62, until - call, 0.6)
            write(axes, call - 0.4, bottom - 0.32, shown, box)
