"""How far the words of a prefix stand beside their sound, recording by recording: what the findings about it rest on.

The checkpoint's own ear tells it where it can follow a recording; where it cannot, the letters of its words do, or
loudness where the trace does not keep the recording, as for the findings. All
say of every frame what it costs to have the words come so many frames late; a window or a stretch of words is told
where one such shift is clearly better than all that are no neighbours of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from dia2.adapter.ear.shifts import FLAT, LEAST_FRAMES, Window, windows_of
from dia2.adapter.findings.recordings import recording_findings
from dia2.adapter.findings.shift import MOST_DRIFT, Shifted, by_ear, by_loudness, by_spelling, shift_finding
from dia2.adapter.prefix_sound import misfit
from dia2.adapter.prefix_words import PrefixWord, prefix_words
from dia2.inspect.trace.levels import Levels, measure

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

# Of a frame's cost: by how much the best shift must be better than others, for words that no finding moves to be said
# to stand where they sound, and in a window, which must agree with its stretch of words as well. docs/log.md has why.
LOUDNESS_STANDS, LOUDNESS_FLAT = 0.04, 0.02
LETTERS_STAND = 0.3  # nats; of 373 windows of clean recordings 298 tell so, none wrongly; with 0.2 one does

Source = Literal["ear", "letters", "loudness", "nothing"]


@dataclass(frozen=True)
class Costs:
    """What each frame of a recording costs under shifts of all its words."""

    late: np.ndarray  # [H] frames that the words come late, ascending, 0 among them
    frames: np.ndarray  # [H, frames]; NaN where nothing is known
    stands: float  # a frame; by so much must the best shift be better than all others but its neighbours, for a stretch
    flat: float  # likewise for a window

    @property
    def zero(self) -> int:
        """The row of the words as they were given."""
        return int(np.flatnonzero(self.late == 0)[0])

    def gain(self, begin: int, end: int) -> np.ndarray | None:
        """[H] what each shift gains over the words as given, a frame, from `begin` up to `end`; `None`: not known."""
        here = self.frames[:, begin:end]
        here = here[:, np.isfinite(here).all(axis=0)]
        if not here.shape[1]:
            return None
        mean = here.mean(axis=1)
        gained: np.ndarray = mean[self.zero] - mean
        return gained

    def in_place(self, gain: np.ndarray) -> bool:
        """The words clearly stand where they sound, or a frame or two aside."""
        best = int(gain.argmax())
        others = gain[abs(self.late - self.late[best]) >= LEAST_FRAMES]
        clear = len(others) > 0 and gain[best] - others.max() >= self.stands
        return bool(clear and abs(self.late[best]) < LEAST_FRAMES)


@dataclass(frozen=True)
class Stretch:
    """Words in a row that come as late as each other, or of which it is not known. Indices are those of `Fit.words`."""

    first: int
    last: int
    begin: int  # frame of the recording in which they begin to sound
    end: int  # the frame after the last
    drift: float | None  # seconds that they come late; `None`: cannot be told
    gain: np.ndarray | None  # [H] of `Costs.gain`; `None`: not known, or not sought: they may belong to either side


class Fit:
    """How the words of one recording fit its sound."""

    def __init__(
        self,
        speaker: int,
        first: int,
        frames: int,
        rate: float,
        words: Sequence[PrefixWord],
        source: Source,
        costs: Costs | None,
        shifts: Sequence[Shifted],
    ) -> None:
        """Note what is known.

        Args:
            speaker: whose recording it is.
            first: frame of the prefix with which it begins.
            frames: its length.
            rate: frames a second.
            words: its own.
            source: what tells their drift.
            costs: by it; `None` where nothing tells.
            shifts: that were found.
        """
        self.speaker, self.first, self.frames, self.rate = speaker, first, frames, rate
        self.words, self.source, self.costs, self.shifts = list(words), source, costs, list(shifts)

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.frames / self.rate

    @cached_property
    def windows(self) -> list[Window]:
        """The drift in windows of 2.6 s, NaN where it cannot be told; half a second from one to the next.

        So few words have little loudness to fit: by it a window tells no more than its stretch of words does.
        """
        costs = self.costs
        if costs is None:
            return []
        found = windows_of(costs.frames, costs.late, self.speaker, self.first, self.rate, told=True, flat=costs.flat)
        if self.source != "loudness":
            return found
        return [one if self._agrees(one) else replace(one, seconds=float("nan")) for one in found]

    def _agrees(self, window: Window) -> bool:
        middle = (window.start + window.end) / 2 - self.first
        told = [one.drift for one in self.stretches if one.begin <= middle < one.end]
        return all(drift is not None and abs(window.seconds - drift) * self.rate < LEAST_FRAMES for drift in told)

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The words on each side of where a shift begins or ends, and those between that may belong to either."""
        found = []
        for shift, group in groupby(range(len(self.words)), self._shift_of):
            indices = list(group)
            found.append(self._stretch(indices[0], indices[-1], shift))
        return found

    @property
    def drift(self) -> list[float | None]:
        """[words] seconds that each comes late: its stretch's."""
        return [one.drift for one in self.stretches for _ in range(one.first, one.last + 1)]

    def _shift_of(self, word: int) -> int | None:
        """The number of a word's shift; −1: it has none, `None`: it may have one."""
        for i, shift in enumerate(self.shifts):
            if shift.first <= word <= shift.last:
                return i
        return None if any(shift.earliest <= word <= shift.latest for shift in self.shifts) else -1

    def _stretch(self, first: int, last: int, shift: int | None) -> Stretch:
        begin, end = self._onset(first), self._onset(last + 1)
        sought = shift is not None and self.costs is not None and begin < end
        gain = self.costs.gain(begin, end) if self.costs is not None and sought else None
        drift = None
        if shift is not None and shift >= 0:
            drift = self.shifts[shift].seconds
        elif gain is not None and self.costs is not None and self.costs.in_place(gain):
            drift = 0.0
        return Stretch(first, last, begin, max(begin, end), drift, gain)

    def _onset(self, word: int) -> int:
        """The frame in which a word begins to sound, at the earliest; the first one and the end stand at the edges."""
        if not 0 < word < len(self.words):
            return 0 if word <= 0 else self.frames
        start = self.words[word].start
        assert start is not None, "words without times are not looked at"
        shift = self._shift_of(word)
        maybe = [one.seconds for one in self.shifts if one.earliest <= word <= one.latest]
        late = max([0.0, *maybe]) if shift is None or shift < 0 else self.shifts[shift].seconds
        return int(np.clip(round((start - late) * self.rate), 0, self.frames))


def fits(trace: Dia2Trace) -> list[Fit]:
    """Of each recording of a trace's prefix; none without one.

    Raises:
        TraceError: the prefix was taken out, or is damaged.
    """
    prefix, rate = trace.prefix, trace.model.frame_rate
    if prefix is None:
        return []
    words, first, found = prefix_words(trace), 0, list[Fit]()
    told = list(recording_findings(trace, words, trace.ear))
    for speaker, frames in enumerate(trace.run.voice_frames, 1):
        part = slice(first, first + frames)
        mine = [word for word in words if word.speaker == speaker]
        timed = [word for word in mine if word.start is not None]  # all of a trace, or none
        source, costs, shifts = _evidence(trace, prefix.rms[part], timed, part)
        if source in ("letters", "loudness"):  # of whose shifts the findings tell those that no missing words explain
            shifts = [shift for shift in shifts if shift_finding(timed, shift) in told]
        found.append(Fit(speaker, first, frames, rate, mine, source, costs, shifts))
        first += frames
    return found


def _evidence(
    trace: Dia2Trace, rms: np.ndarray, words: Sequence[PrefixWord], part: slice
) -> tuple[Source, Costs | None, list[Shifted]]:
    """What tells the drift of a recording, as the findings choose it, and the shifts that it brings."""
    if not words:
        return "nothing", None, []
    ear, speaker, rate = trace.ear, words[0].speaker, trace.model.frame_rate
    heard = None if ear is None else by_ear(ear, speaker, words)
    if ear is not None and heard is not None:
        return "ear", Costs(ear.late, ear.nats[:, part], FLAT, FLAT), heard
    if not np.isfinite(rms).all() or not rms.any():
        return "nothing", None, []
    path = trace.letters.get(speaker)  # not asked for where the ear tells
    if path is not None:
        return "letters", Costs(path.late, path.nats, LETTERS_STAND, LETTERS_STAND), by_spelling(path, rate)
    levels, times = measure(rms), np.array([[word.start, word.end] for word in words]) * rate
    return "loudness", loudness_costs(levels, times, rate), by_loudness(levels, times, rate)


def loudness_costs(levels: Levels, times: np.ndarray, rate: float) -> Costs:
    """By loudness: 1 for a frame of sound without a word, a part of it for a word without sound.

    Args:
        levels: of the recording.
        times: [W, 2] of its words, in frames.
        rate: frames a second.
    """
    most = int(MOST_DRIFT * rate)
    late = np.arange(-most, most + 1, dtype=np.int32)
    return Costs(late, np.stack([misfit(levels, times - frames) for frames in late]), LOUDNESS_STANDS, LOUDNESS_FLAT)
