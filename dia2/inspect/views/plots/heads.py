"""Where a head of the transformer looks."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.checks import counted_from_0
from dia2.inspect.schema.pictures import Attention, PlacedWord
from dia2.inspect.trace.family import offered
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 4000  # calls of a figure
_WORD = 60.0  # points that a word over the picture may take
_APART = 7.2  # points between two of them
_ANGLE = 60  # degrees


def attention(
    trace: Trace[Any],
    tts: Any,
    layer: int,
    head: int,
    *,
    first: int | None = None,
    last: int | None = None,
) -> Figure:
    """Attention weights of one head in the conditional branch, from a replay: calls down, slots of the cache across.

    Each word stands over the slot where its first token went in. Outlined at each call are the slots with tokens of the
    word whose sound codebook 0 is drawn for. Colours are those of the weights' square roots, so that small ones show.

    Args:
        trace: of any level.
        tts: the checkpoint that made the trace; or `trace.replay(tts, calls, attention=True)`, to draw several heads of
            one replay.
        layer: of the transformer, from 0.
        head: of the layer, from 0.
        first: call to draw from; `None`: the first one, or the replay's.
        last: call to draw to, included; `None`: the last one, or the replay's.

    Raises:
        UsageError: there is no such layer, head or call; another checkpoint; or more calls than one figure or one
            replay can hold.
        TraceError: the trace has no calls, or was redacted.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.attention")
    found: Attention = offered(trace, "attention")(trace, tts)
    first, last = (asked if asked is not None else has for asked, has in zip((first, last), found.calls, strict=True))
    first, last = page.choose_calls(trace, first, last, _MOST)
    layer, head = counted_from_0(layer, "layer"), counted_from_0(head, "head")
    picture = found.head(layer, head, first, last)
    weights, words, spoken = picture.weights, picture.words, picture.spoken
    figure = page.new_figure(5.8)
    axes = figure.subplots()
    _picture(figure, axes, weights, first)
    _outline(axes, spoken, first)
    pad = _write_words(axes, words, first, last)
    page.headline(axes, f"Attention of layer {layer}, head {head}", _facts(weights, spoken, first, last), pad)
    page.legend(figure, _legend(words, any(spoken)))
    return figure


def _picture(figure: Figure, axes: Axes, weights: np.ndarray, first: int) -> None:
    from matplotlib.colors import PowerNorm

    calls, slots = weights.shape
    hidden = np.arange(slots) > np.arange(first, first + calls)[:, None]  # later slots
    image = axes.imshow(
        np.ma.masked_array(weights, hidden),
        aspect="auto",
        interpolation="nearest",
        cmap=page.shades("#f4f7fa"),
        norm=PowerNorm(0.5, 0.0, float(weights.max()) or 1.0),
        extent=(-0.5, slots - 0.5, first + calls - 0.5, first - 0.5),
    )
    page.style(axes, "slot looked at (one a call)", "call", whole="both")
    page.colour_bar(figure, axes, image, "weight")


def _outline(axes: Axes, spoken: list[list[int]], first: int) -> None:
    """One box for calls in a row with the same slots."""
    boxes = []
    call = first
    for slots, group in groupby(spoken):
        count = len(list(group))
        if slots:
            boxes.append(page.rectangle(slots[0] - 0.5, call - 0.5, slots[-1] - slots[0] + 1, count))
        call += count
    page.outline(axes, boxes, page.NEW, "spoken", 0.9)


def _write_words(axes: Axes, words: list[PlacedWord], first: int, last: int) -> float:
    """Each word over the slot of its first token, where the one before leaves room; gives the points they are high."""
    points, free, high = 0.92 * page.ROOM / (last + 1), -1.0, 0.0  # the scale of colours takes the rest
    for word in words:
        if not word.slots or word.slots[0] > last or word.slots[0] * points < free:
            continue
        slot = word.slots[0]
        shown = page.fit(word.text, _WORD)
        top, ink = axes.get_xaxis_transform(), page.SPEAKER.get(word.speaker, page.GREY)
        box = (-0.5, 1.0, 1.1 * (last + 1), 0.5)  # over the picture
        page.write(axes, slot, 1.012, shown, box, top, rotation=_ANGLE, rotation_mode="anchor")
        axes.plot([slot], [1.0], "|", color=ink, markersize=6, transform=top, clip_on=False)
        axes.vlines(slot, first - 0.5, max(slot, first) - 0.5, color=ink, linewidth=0.7)
        free, high = slot * points + _APART, max(high, page.extent(shown))
    return 12 + high * float(np.sin(np.radians(_ANGLE)))


def _facts(weights: np.ndarray, spoken: list[list[int]], first: int, last: int) -> str:
    shares = [float(row[slots].sum()) for row, slots in zip(weights, spoken, strict=True) if slots]
    told = f" · {np.mean(shares):.0%} on the word being spoken" if shares else ""
    return f"calls {first} … {last}{told}"


def _legend(words: list[PlacedWord], spoken: bool) -> list[tuple[str, dict[str, object]]]:
    speakers = sorted({word.speaker for word in words} & set(page.SPEAKER))
    entries: list[tuple[str, dict[str, object]]] = []
    for speaker in speakers:
        entries.append((f"word of S{speaker}", {"facecolor": page.SPEAKER[speaker], "edgecolor": "none"}))
    if spoken:
        told = "tokens of the word being spoken (taken to sound from two frames before its step)"
        entries.append((told, {"facecolor": "none", "edgecolor": page.NEW, "linewidth": 1.0}))
    return entries
