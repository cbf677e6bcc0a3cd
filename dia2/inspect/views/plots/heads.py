"""Where a head of the transformer looks."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from dia2.adapter.checks import check_trace
from dia2.adapter.machine import labels
from dia2.adapter.replay import Replay
from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0
from dia2.common.errors import UsageError
from dia2.engine import Dia2
from dia2.inspect.views.plots.page import (
    GREY,
    NEW,
    ROOM,
    SPEAKER,
    choose_calls,
    colour_bar,
    extent,
    fit,
    headline,
    legend,
    new_figure,
    outline,
    rectangle,
    shades,
    style,
    write,
)
from dia2.runtime.sounding import LAG

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 4000  # calls of a figure
_WORD = 60.0  # points that a word over the picture may take
_APART = 7.2  # points between two of them
_ANGLE = 60  # degrees


@dataclass(frozen=True)
class PlacedWord:
    """A word that the machine took, and where it is in the cache."""

    text: str
    speaker: int
    step: int  # at which it was taken
    slots: list[int]  # of its tokens in the main stream


def attention(
    trace: Dia2Trace,
    tts: Dia2 | Replay,
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
    check_trace(trace, "plots.attention")
    if not isinstance(tts, Replay):
        trace.adapter.check_engine(tts, "plots.attention")
    else:
        first, last = min(tts.calls) if first is None else first, max(tts.calls) if last is None else last
    first, last = choose_calls(trace, first, last, _MOST)
    layer, head = counted_from_0(layer, "layer"), counted_from_0(head, "head")
    for name, number, count in (("layer", layer, trace.model.layers), ("head", head, trace.model.heads)):
        if not 0 <= number < count:
            raise UsageError(f"There is no {name} {number}: the transformer has {name}s 0 … {count - 1}.")
    figure = new_figure(5.8)
    weights = _weights(trace, tts, layer, head, first, last)
    words = placed_words(trace, last + 1)
    spoken = spoken_slots(trace, words)[first : last + 1]
    axes = figure.subplots()
    _picture(figure, axes, weights, first)
    _outline(axes, spoken, first)
    pad = _write_words(axes, words, first, last)
    headline(axes, f"Attention of layer {layer}, head {head}", _facts(weights, spoken, first, last), pad)
    legend(figure, _legend(words, any(spoken)))
    return figure


def _weights(trace: Dia2Trace, tts: Dia2 | Replay, layer: int, head: int, first: int, last: int) -> np.ndarray:
    """[calls, slots] of calls `first` … `last`."""
    calls = range(first, last + 1)
    replay = tts if isinstance(tts, Replay) else trace.replay(tts, calls, attention=True)
    if not replay.attention:
        raise UsageError("This replay has no attention: ask for it with replay(tts, calls, attention=True).")
    place = {call: i for i, call in enumerate(replay.calls)}
    missing = [call for call in calls if call not in place]
    if missing:
        raise UsageError(f"This replay lacks call {missing[0]}: draw calls that stand in it one after the other.")
    weights: np.ndarray = replay.attention[layer][[place[call] for call in calls], 0, head, : last + 1].numpy()
    return weights


def placed_words(trace: Dia2Trace, calls: int) -> list[PlacedWord]:
    """The words that the first `calls` calls took, in order; what a call emits goes into the slot of the next one."""
    words: list[PlacedWord] = []
    for call, label in enumerate(labels(trace, calls)):
        if label.taken is not None and label.taken.tokens:
            words.append(PlacedWord(label.taken.text, label.taken.speaker, int(trace.steps[call]), []))
        if label.main is not None and words:
            words[-1].slots.append(call + 1)
    return words


def spoken_slots(trace: Dia2Trace, words: list[PlacedWord]) -> list[list[int]]:
    """Slots with tokens of the word whose sound codebook 0 is drawn for, call by call.

    The draw of a call at step s is of frame s + 1 − delay. A word is heard from two frames before its step until two
    before the next one's, as the warm-up places the words of a recording; none in warm-up and after the last one. Slots
    that the call cannot see are left out.
    """
    starts = [word.step for word in words]
    ends = [int(end) for end in trace.column("end_step") if end >= 0]
    over = ends[0] if ends else None
    slots: list[list[int]] = []
    for call, step in enumerate(trace.steps.tolist()):
        frame = step + 1 - trace.model.delays[0] + LAG
        at = bisect_right(starts, frame) - 1
        silent = call < trace.warmup_calls or at < 0 or (over is not None and frame >= over)
        slots.append([] if silent else [slot for slot in words[at].slots if slot <= call])
    return slots


def _picture(figure: Figure, axes: Axes, weights: np.ndarray, first: int) -> None:
    from matplotlib.colors import PowerNorm

    calls, slots = weights.shape
    hidden = np.arange(slots) > np.arange(first, first + calls)[:, None]  # later slots
    image = axes.imshow(
        np.ma.masked_array(weights, hidden),
        aspect="auto",
        interpolation="nearest",
        cmap=shades("#f4f7fa"),
        norm=PowerNorm(0.5, 0.0, float(weights.max()) or 1.0),
        extent=(-0.5, slots - 0.5, first + calls - 0.5, first - 0.5),
    )
    style(axes, "slot looked at (one a call)", "call", whole="both")
    colour_bar(figure, axes, image, "weight")


def _outline(axes: Axes, spoken: list[list[int]], first: int) -> None:
    """One box for calls in a row with the same slots."""
    boxes = []
    call = first
    for slots, group in groupby(spoken):
        count = len(list(group))
        if slots:
            boxes.append(rectangle(slots[0] - 0.5, call - 0.5, slots[-1] - slots[0] + 1, count))
        call += count
    outline(axes, boxes, NEW, "spoken", 0.9)


def _write_words(axes: Axes, words: list[PlacedWord], first: int, last: int) -> float:
    """Each word over the slot of its first token, where the one before leaves room; gives the points they are high."""
    points, free, high = 0.92 * ROOM / (last + 1), -1.0, 0.0  # the scale of colours takes the rest
    for word in words:
        if not word.slots or word.slots[0] > last or word.slots[0] * points < free:
            continue
        slot = word.slots[0]
        shown = fit(word.text, _WORD)
        top, ink = axes.get_xaxis_transform(), SPEAKER.get(word.speaker, GREY)
        box = (-0.5, 1.0, 1.1 * (last + 1), 0.5)  # over the picture
        write(axes, slot, 1.012, shown, box, top, rotation=_ANGLE, rotation_mode="anchor")
        axes.plot([slot], [1.0], "|", color=ink, markersize=6, transform=top, clip_on=False)
        axes.vlines(slot, first - 0.5, max(slot, first) - 0.5, color=ink, linewidth=0.7)
        free, high = slot * points + _APART, max(high, extent(shown))
    return 12 + high * float(np.sin(np.radians(_ANGLE)))


def _facts(weights: np.ndarray, spoken: list[list[int]], first: int, last: int) -> str:
    shares = [float(row[slots].sum()) for row, slots in zip(weights, spoken, strict=True) if slots]
    told = f" · {np.mean(shares):.0%} on the word being spoken" if shares else ""
    return f"calls {first} … {last}{told}"


def _legend(words: list[PlacedWord], spoken: bool) -> list[tuple[str, dict[str, object]]]:
    speakers = sorted({word.speaker for word in words} & set(SPEAKER))
    entries: list[tuple[str, dict[str, object]]] = []
    for speaker in speakers:
        entries.append((f"word of S{speaker}", {"facecolor": SPEAKER[speaker], "edgecolor": "none"}))
    if spoken:
        told = "tokens of the word being spoken (taken to sound from two frames before its step)"
        entries.append((told, {"facecolor": "none", "edgecolor": NEW, "linewidth": 1.0}))
    return entries
