"""Words along the axes of a picture whose rows or columns are calls or slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORD = 60.0  # points that a word may take
_APART = 7.2  # points between two of them
_ANGLE = 60  # degrees
_INSIDE = 0.36  # of a column, by which a word's bar goes on from the middle of its first and last


class AxisWord(NamedTuple):
    """A word, and which columns or rows are its."""

    text: str
    speaker: int
    first: int
    last: int


def over(axes: Axes, words: Sequence[AxisWord], first: float, last: float, room: float = page.ROOM) -> float:
    """Write words over the columns where they begin, where the one before leaves room; gives the points they are high.

    Args:
        axes: whose columns reach from `first` to `last`.
        words: in order.
        first: column.
        last: column.
        room: points that the axes are wide, about.
    """
    points, free, high = room / (last - first + 1), float("-inf"), 0.0
    top = axes.get_xaxis_transform()
    for word in words:
        at = (word.first - first) * points
        if not first <= word.first <= last or at < free:
            continue
        shown = page.fit(word.text, _WORD)
        box = (first - 0.5, 1.0, 1.1 * (last - first + 1), 0.6)
        page.write(axes, word.first, 1.03, shown, box, top, rotation=_ANGLE, rotation_mode="anchor")
        free, high = at + _APART, max(high, page.extent(shown))
    for word in words:
        axes.plot(_extent(word), [1.012, 1.012], transform=top, **_look(word))
    return 12 + high * float(np.sin(np.radians(_ANGLE)))


def beside(axes: Axes, words: Sequence[AxisWord], first: float, last: float, room: float) -> None:
    """Write words at the left of the rows where they begin, in place of numbers, where there is room.

    Args:
        axes: whose rows reach from `first` to `last`, downwards.
        words: in order.
        first: row.
        last: row.
        room: points that the axes are high, about.
    """
    points, free = room / (last - first + 1), float("-inf")
    side = axes.get_yaxis_transform()
    places, texts = [], []
    for word in words:
        axes.plot([-0.006, -0.006], _extent(word), transform=side, **_look(word))
        at = (word.first + word.last) / 2
        if (at - first) * points < free:
            continue
        places.append(at)
        texts.append(page.fit(word.text, _WORD))
        free = (at - first) * points + _APART
    axes.set_yticks(places, texts, parse_math=False, usetex=False)
    axes.tick_params(axis="y", length=0, pad=5)


def _extent(word: AxisWord) -> list[float]:
    """From where to where a word's bar is drawn, in columns or rows."""
    return [word.first - _INSIDE, word.last + _INSIDE]


def _look(word: AxisWord) -> dict[str, Any]:
    """Of a word's bar: its speaker's colour."""
    ink = page.SPEAKER.get(word.speaker, page.GREY)
    return {"color": ink, "linewidth": 2.0, "solid_capstyle": "butt", "clip_on": False, "gid": "span"}
