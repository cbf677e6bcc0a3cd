"""What a verdict about a prefix's words rests on, as the explorer gets it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dia2.adapter.drift import Fit, Source, Stretch, fits
from dia2.adapter.ear.shifts import HOP, LEAST_FRAMES, WINDOW
from dia2.adapter.findings.shift import shift_text
from dia2.adapter.mended import mended, word_list
from dia2.adapter.prefix_words import PrefixWord
from dia2.common.errors import TraceError
from dia2.inspect.schema import view_fit as shown
from dia2.inspect.schema.view import text
from dia2.inspect.schema.view_tracks import Track, track
from dia2.runtime.sounding import LAG

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

NAME = "Voice"
_MOST_CURVES = 6  # of a recording; the longest stretches have them


class _Told(NamedTuple):
    """How a source of the drift is spoken of."""

    by: str
    unit: str = ""  # of a gain
    scale: float = 1.0  # to it


_SOURCES: dict[Source, _Told] = {
    "ear": _Told("by ear", " nats a frame"),
    "letters": _Told("by letters", " nats a frame"),
    "loudness": _Told("by loudness", "% of frames", 100.0),
    "nothing": _Told(""),
}


def fit_of(trace: Dia2Trace) -> shown.Fit | None:
    """How the words of each recording fit its sound; `None` where there is none, or it was redacted or damaged."""
    if "voice" in trace.redacted:
        return None
    try:
        found = fits(trace)
    except TraceError:  # the verdict says so, and the rest can be seen
        return None
    if not found:
        return None
    windows = [window for fit in found for window in _windows(fit)]
    least = round(LEAST_FRAMES / trace.model.frame_rate, 3)
    return {"name": NAME, "least": least, "windows": windows, "recordings": [_recording(trace, fit) for fit in found]}


def drift_track(fit: shown.Fit) -> Track:
    """The track of the drift, which says what tells it."""
    told = [f"{one['by']} of speaker {one['speaker']}" for one in fit["recordings"] if one["by"]]
    if len({one["by"] for one in fit["recordings"]}) == 1:
        told = [fit["recordings"][0]["by"]] if told else []
    how = f", told {' and '.join(told)}" if told else ""
    about = (
        "Seconds by which the words of a prefix come after their sound (+) or before it (−), in windows of 2.6 s"
        f"{how}. Hatched: it cannot be told."
    )
    return track("drift", "drift", "Drift", about, "voice")


def _windows(fit: Fit) -> Iterator[tuple[float, float, float | None]]:
    """Each stands for the half second in its middle, the first and the last also for what lies before and after."""
    at, last = 0, len(fit.windows) - 1
    if last < 0:
        yield fit.first + LAG, fit.first + fit.frames + LAG, None
    for i, window in enumerate(fit.windows):
        end = fit.frames if i == last else window.start - fit.first + (WINDOW + HOP) // 2
        yield fit.first + at + LAG, fit.first + end + LAG, _told(window.seconds)
        at = end


def _told(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None


def _recording(trace: Dia2Trace, fit: Fit) -> shown.FitRecording:
    stretches = [one for one in fit.stretches if one.gain is not None]
    longest = sorted(stretches, key=lambda one: one.begin - one.end)[:_MOST_CURVES]
    late = np.zeros(0) if fit.costs is None else fit.costs.late / fit.rate
    return {
        "speaker": fit.speaker,
        "title": f"Words of speaker {fit.speaker}",
        "told": text(_found(fit), 1000),
        "by": _SOURCES[fit.source].by,
        "why": _why(trace, fit),
        "unit": _SOURCES[fit.source].unit.strip(),
        "late": [round(float(seconds), 3) for seconds in late],
        "curves": [_curve(fit, one) for one in stretches if one in longest],
        "words": [_word(trace, word, drift) for word, drift in zip(fit.words, fit.drift, strict=True)],
        "mended": _mended(trace, fit),
    }


def _found(fit: Fit) -> str:
    if fit.shifts:
        return " ".join(shift_text(fit.words, shift) for shift in fit.shifts)
    if fit.words and None not in fit.drift:
        return "They stand where they sound."
    return "No shift of them stands out. Whether they stand where they sound: cannot tell."


def _why(trace: Dia2Trace, fit: Fit) -> str:
    """What tells it, and why not something better."""
    if fit.source == "ear":
        return "Told by the checkpoint’s own ear: how likely it finds the sound if the words come so late."
    if fit.source in ("letters", "loudness"):
        if trace.ear is None:
            why = "The trace keeps nothing of the checkpoint’s ear"
        elif fit.speaker in trace.ear.deaf:
            why = "The checkpoint’s ear cannot follow this voice"
        else:
            why = "These are too few words for the checkpoint’s ear"
        if fit.source == "letters":
            return f"{why}, so letters tell: a hiss is where an s is, and a pause where no word is."
        return f"{why}, so loudness tells: how well the words cover the sound."
    if not fit.words:
        return "The recording has no words."
    if any(word.start is None for word in fit.words):
        return "The trace does not say when they sound."
    return "Nothing tells of the recording’s sound: neither the checkpoint’s ear, nor loudness."


def _curve(fit: Fit, one: Stretch) -> shown.FitCurve:
    assert one.gain is not None, "those without are not drawn"
    assert fit.costs is not None, "it made them"
    source = _SOURCES[fit.source]
    gain, at = source.scale * one.gain, None
    told = "cannot tell"
    if one.drift is not None:
        at = int(abs(fit.costs.late / fit.rate - one.drift).argmin())
        told = "where they sound"
        if one.drift:
            side = "late" if one.drift > 0 else "early"
            told = f"{abs(one.drift):.2f} s {side}: +{gain[at]:.2g}{source.unit}"
    first, last = fit.words[one.first].text, fit.words[one.last].text
    return {
        "words": text(first if one.first == one.last else f"{first} … {last}"),
        "gain": [round(float(each), 3) for each in gain],
        "drift": one.drift,
        "at": at,
        "told": told,
    }


def _word(trace: Dia2Trace, word: PrefixWord, drift: float | None) -> shown.FitWord:
    return {
        "text": text(word.text),
        "call": min(word.place, len(trace) - 1),
        "taken": word.taken_call,
        "asked": word.start,
        "drift": drift,
    }


def _mended(trace: Dia2Trace, fit: Fit) -> shown.Mended | None:
    rows = None if "text" in trace.redacted else mended(fit.words, fit.drift, fit.seconds)
    if rows is None:
        return None
    number = fit.speaker
    told = f"Save it as words.json, and give it by --prefix-words-{number} words.json, or prefix_words_{number}."
    return {"text": word_list(rows), "told": told}
