"""Where one head looks, with words on both axes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.inspect.views.plots import page
from dia2.inspect.views.plots.wordaxis import AxisWord, beside, over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from dia2.analysis.patterns import AttentionPattern

_MOST = 400  # calls of a figure


def pattern(found: AttentionPattern, head: int) -> Figure:
    """Attention of one head, with words on both axes.

    Calls go down, with the word whose sound each draws; slots of the cache go across, with the word whose token stands
    there. Colours are those of the weights' square roots, so that small ones show.

    Args:
        found: of `dia2.analysis.attention_pattern`.
        head: of its layer, from 0.

    Raises:
        UsageError: that is no pattern, there is no such head, or there are more calls than one figure can hold.
        Dia2Error: matplotlib is missing.
    """
    if not hasattr(found, "slot_words"):
        raise UsageError(f"plots.pattern needs what dia2.analysis.attention_pattern gives, not {short(found)}.")
    head, heads = counted_from_0(head, "head"), found.weights.shape[1]
    if not 0 <= head < heads:
        raise UsageError(f"There is no head {head}: layer {found.layer} has heads 0 … {heads - 1}.")
    if len(found.calls) > _MOST:
        raise UsageError(f"{len(found.calls)} calls are too many for one figure: ask for {_MOST} at most.")
    weights = found.weights[:, head]  # [n, slots]
    calls, slots = weights.shape
    figure = page.new_figure(5.2)
    from matplotlib.colors import PowerNorm

    axes = figure.subplots()
    image = axes.imshow(
        np.ma.masked_array(weights, np.arange(slots) > np.array(found.calls)[:, None]),
        aspect="auto",
        interpolation="nearest",
        cmap=page.shades("#f4f7fa"),
        norm=PowerNorm(0.5, 0.0, float(weights.max()) or 1.0),
    )
    page.style(axes, "slot looked at (one a call)", "", whole="x")
    pad = over(axes, _runs(found.slot_words, found.slot_speakers), 0, slots - 1, 0.8 * page.ROOM)
    beside(axes, _runs(found.call_words, found.call_speakers), 0, calls - 1, 4.0 * 72)
    on = [float(row[[i for i, text in enumerate(found.slot_words) if text == said]].sum())
          for row, said in zip(weights, found.call_words, strict=True) if said]  # fmt: skip
    told = f" · {np.mean(on):.0%} on words of the same text" if on else ""
    facts = f"calls {found.calls[0]} … {found.calls[-1]}{told}"
    page.headline(axes, f"Attention of layer {found.layer}, head {head}", facts, pad)
    axes.set_ylabel("call, by the word being spoken", fontsize=8, color=page.INK)
    page.colour_bar(figure, axes, image, "weight")
    return figure


def _runs(texts: Sequence[str], speakers: Sequence[int]) -> list[AxisWord]:
    """Words that stand in a row, once each."""
    found, at = [], 0
    for (text, speaker), group in groupby(zip(texts, speakers, strict=True)):
        count = len(list(group))
        if text:
            found.append(AxisWord(text, speaker, at, at + count - 1))
        at += count
    return found
