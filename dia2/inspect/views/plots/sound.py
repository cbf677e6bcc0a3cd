"""The waveform, with the words beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.checks import plain, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.wording import counted
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.trace.recordings import recording_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.plots import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 4.5  # seconds of a line, in which most words have room for their letters
_LINES = 10
_BINS = 1200  # of a line; more cannot be seen
_TIER = 0.62  # height of a tier of words; the waveform's is 2
_BOX = 0.48  # of a word's box in it
_TINT = {1: "#d6e8f3", 2: "#f6e3ed"}

Said = tuple[TraceWord, float, float]  # a word, and the seconds from which to which it lasts


def waveform(
    trace: Trace[Any],
    start: float = 0.0,
    end: float | None = None,
    *,
    script: int = 0,
    recording: int | None = None,
) -> Figure:
    """The audio over seconds, and beneath it each word in its speaker's tier, from its sound to the next one's.

    More than four and a half seconds are set in lines. A word too short for its letters is cut, or is a box only.

    Args:
        trace: with audio.
        start: second of the audio to draw from.
        end: second to draw to; `None`: the audio's end.
        script: which, from 0.
        recording: of which speaker of the prefix to draw the recording instead, with its words where it says them.

    Raises:
        TraceError: the trace has no audio, or no such recording, or it was redacted.
        UsageError: the audio has no such seconds.
        Dia2Error: matplotlib is missing.
    """
    page.check_trace(trace, "plots.waveform")
    if recording is None:
        samples, rate = _sound(trace, script)
        told = trace.timed_words(script)
    else:
        given = recording_of(trace, recording)
        samples, rate, told = given.samples, given.rate, trace.recorded_words(given)
    whole = len(samples) / rate
    start, end = plain(start), plain(end)
    for second in (start, end):
        if second is not None and not isinstance(second, int | float):
            raise UsageError(f"A second of the audio is a number, not {short(second)}.")
    until = whole if end is None else min(end, whole)
    if not 0 <= start < until:
        raise UsageError(f"There is no sound from {start:g} to {until:g} s: {trace.path} has {whole:.2f} s of audio.")
    words = [said for said in _said(told, whole) if said[1] < until and said[2] > start]
    speakers = sorted({word.speaker for word, _, _ in words})
    fits = page.lines(until - start, _LINE, _LINES)
    length = (until - start) / fits
    peak = float(np.abs(_part(samples, rate, (start, until))).max())
    figure = page.new_figure(fits * (0.62 + 0.2 * len(speakers) + 0.16) + 0.6)
    rows = figure.subplots(fits, 1, squeeze=False)[:, 0]
    for i, axes in enumerate(rows):
        span = (start + i * length, start + (i + 1) * length)
        _draw_sound(axes, samples, rate, span, peak or 1.0)
        _draw_words(axes, words, speakers, span)
        _frame(axes, speakers, span, peak)
    rows[-1].set_xlabel("seconds", fontsize=8)
    drawn = f"{start:.2f} … {until:.2f} s of {whole:.2f} s" if until - start < whole else f"{whole:.2f} s"
    page.headline(
        rows[0],
        "Waveform" if recording is None else f"Recording of speaker {recording}",
        f"{drawn} at {rate / 1000:g} kHz · peak {peak:.2f} · {counted(len(words), 'word')}",
    )
    page.legend(figure, _legend(words))
    return figure


def _sound(trace: Trace[Any], script: int) -> tuple[np.ndarray, int]:
    if "voice" in trace.redacted:
        raise TraceError(f"{trace.path} has no audio to draw: the voice was redacted.")
    found = trace.sound(script)
    if found is None or not len(found[0]):
        raise TraceError(f"{trace.path} has no audio to draw ({trace.state}).")
    return found


def _said(words: list[TraceWord], whole: float) -> list[Said]:
    """The words that are heard, with their spans; the last one lasts to the end of the audio."""
    heard = [(word, word.seconds) for word in words if word.seconds is not None]
    starts = [*(seconds for _, seconds in heard), whole]
    return [(word, seconds, max(seconds, end)) for (word, seconds), end in zip(heard, starts[1:], strict=True)]


def _part(samples: np.ndarray, rate: int, span: tuple[float, float]) -> np.ndarray:
    """The samples of some seconds, one at least."""
    first = min(round(span[0] * rate), len(samples) - 1)
    return samples[first : max(first + 1, round(span[1] * rate))]


def _draw_sound(axes: Axes, samples: np.ndarray, rate: int, span: tuple[float, float], full: float) -> None:
    """Lowest and highest sample of each bin, as shares of `full`."""
    part = _part(samples, rate, span)
    edges = np.unique(np.linspace(0, len(part), _BINS, endpoint=False).astype(int))
    middle = span[0] + (edges + np.diff(edges, append=len(part)) / 2) / rate
    low, high = np.minimum.reduceat(part, edges), np.maximum.reduceat(part, edges)
    area = axes.fill_between(middle, low / full, high / full, color=page.GREY, linewidth=0.4)
    area.set_gid("waveform")


def _draw_words(axes: Axes, words: list[Said], speakers: list[int], span: tuple[float, float]) -> None:
    here = [said for said in words if said[1] < span[1] and said[2] > span[0]]
    for tier, speaker in enumerate(speakers):
        bottom = -1.2 - (tier + 1) * _TIER
        for prefix in (False, True):
            mine = [
                (max(a, 2 * span[0] - span[1]), min(b, 2 * span[1] - span[0]))  # dashes that nobody sees take long
                for word, a, b in here
                if word.speaker == speaker and word.prefix == prefix
            ]
            if mine:
                name = f"words.S{speaker}" + ".prefix" * prefix
                page.blocks(axes, mine, bottom, _BOX, name, **_look(speaker, prefix))
        for word, a, b in here:
            if word.speaker == speaker:
                text = word.text if a >= span[0] else f"…{word.text}"  # it was begun before this line
                left, right = max(a, span[0]), min(b, span[1])
                page.write_in(axes, text, (left, bottom, right - left, _BOX), page.ROOM / (span[1] - span[0]))


def _look(speaker: int, prefix: bool) -> dict[str, object]:
    edge = page.SPEAKER.get(speaker, page.GREY)
    if prefix:
        return {"facecolor": "white", "edgecolor": edge, "linewidth": 0.8, "linestyle": (0, (3, 1.5))}
    return {"facecolor": _TINT.get(speaker, "#eeeeee"), "edgecolor": edge, "linewidth": 0.8}


def _frame(axes: Axes, speakers: list[int], span: tuple[float, float], peak: float) -> None:
    page.style(axes, spines=("bottom",))
    axes.set_xlim(*span)
    axes.set_ylim(-1.25 - len(speakers) * _TIER, 1.1)
    tiers = [(-1.2 - (i + 1) * _TIER + _BOX / 2, f"S{speaker}") for i, speaker in enumerate(speakers)]
    scale = [(0.0, "0"), (1.0, f"{peak:.2f}")] if peak else [(0.0, "0")]
    axes.set_yticks([y for y, _ in tiers + scale], [name for _, name in tiers + scale])


def _legend(words: list[Said]) -> list[tuple[str, dict[str, object]]]:
    kinds = sorted({(word.speaker, word.prefix) for word, _, _ in words})
    if not any(prefix for _, prefix in kinds):
        return []  # the tiers tell the speakers
    return [(f"S{speaker}" + ", of the prefix" * prefix, _look(speaker, prefix)) for speaker, prefix in kinds]
