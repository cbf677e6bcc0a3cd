"""What measures are made of: evidence that every family's traces give, and the measures that rest on it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np

from dia2.inspect.schema.adapter import Adapter
from dia2.inspect.schema.measure import Measure, Measures, Rule, Value
from dia2.inspect.trace.levels import Levels, full_scale, measure, pauses, rms_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.trace.unlikely import mean_of_codes, surprise_of

T = TypeVar("T", bound=Trace[Any])


class Measured(Generic[T]):
    """One script of a run, looked at as far as its measures ask; families say more of theirs."""

    def __init__(self, trace: T, script: int) -> None:
        """Raises TraceError: there is no such script."""
        self.trace, self.script = trace, trace.check_script(script)

    # What a family fills in

    @property
    def rate(self) -> float | None:
        """Frames a second; `None`: not known."""
        return None

    def repeating(self, levels: Levels) -> list[tuple[int, int, int]]:
        """Stretches of frames that repeat while they sound, as `dia2.inspect.trace.loops.repeating` gives them."""
        raise NotImplementedError

    # What there is

    @cached_property
    def sound(self) -> tuple[np.ndarray, int] | None:
        """(waveform [N] float32, sample rate) of the script, a prefix at its front included; `None`: there is none."""
        return self.trace.sound(self.script) if self.trace.begun else None

    @property
    def frames(self) -> int:
        """Frames that the run draws codes of: one a call."""
        return len(self.trace) - self.trace.given_calls

    @property
    def seconds(self) -> float | None:
        """Length of the audio."""
        return None if self.sound is None else len(self.sound[0]) / self.sound[1]

    @property
    def own_sound(self) -> np.ndarray | None:
        """[N] samples that the run made, without those of a prefix; `None`: there are none."""
        own = None if self.sound is None else self.sound[0][self.trace.given_samples(self.script) :]
        return None if own is None or not len(own) else own

    @cached_property
    def levels(self) -> Levels | None:
        """How loud the audio is, a prefix included; `None`: there is none, or nothing but zeros."""
        if self.sound is None or self.rate is None:
            return None
        rms = rms_of(*self.sound, self.rate)
        return measure(rms) if rms.any() else None

    @cached_property
    def bits(self) -> tuple[np.ndarray, list[str]]:
        """What each draw cost, as `dia2.inspect.trace.unlikely.surprise_of` gives it."""
        return surprise_of(self.trace, self.script)

    @cached_property
    def code_bits(self) -> np.ndarray:
        """[n] mean bits of the codes of each call that has them."""
        return known(mean_of_codes(*self.bits))

    # What follows from it

    @property
    def clipping(self) -> float | None:
        """Share of the run's own samples at full scale."""
        return None if self.own_sound is None else float(full_scale(self.own_sound).mean())

    @property
    def silence(self) -> float | None:
        """Seconds of the longest pause before the run's last sound; all of its audio, if it has none."""
        own, rate = self.own_sound, self.rate
        if self.sound is None or own is None or rate is None:
            return None
        if self.levels is None:
            return len(own) / self.sound[1]
        first = round((len(self.sound[0]) - len(own)) / self.sound[1] * rate)  # frame with which the run's own begin
        lengths = [end - max(begin, first) for begin, end in pauses(self.levels, rate, least=0.0)]
        return max([0, *lengths]) / rate

    @property
    def repeats(self) -> int | None:
        """Frames in stretches that repeat while they sound."""
        if self.sound is None:
            return None
        return 0 if self.levels is None else sum(last - first for first, last, _ in self.repeating(self.levels))


def known(values: np.ndarray) -> np.ndarray:
    """Those of [n] that are not NaN."""
    found: np.ndarray = values[np.isfinite(values)]
    return found


def mean(values: np.ndarray) -> Value:
    """Of [n] numbers; `None` of none."""
    return float(values.mean()) if len(values) else None


def most(values: np.ndarray) -> Value:
    """Of [n] numbers; `None` of none."""
    return float(values.max()) if len(values) else None


# Of any family

CALLS = Measure("calls", "call", "int", "Calls of the run, those that draw nothing included.")
FRAMES = Measure("frames", "frame", "int", "Frames that the run draws codes of; of a script among several, its own.")
SECONDS = Measure("audio_seconds", "s", "float", "Length of the audio, of a prefix that is to be heard too.")
CLIPPING = Measure(
    "clipping", "share", "float", "Share of the samples that stand at full scale, 0 … 1; of what the run made itself."
)
CODES_SURPRISE = Measure(
    "codes_surprise", "bit", "float", "−log₂ p of the codes that were drawn: the mean over all calls that kept chances."
)
CODES_WORST = Measure(
    "codes_surprise_worst", "bit", "float", "−log₂ p of the codes of the least likely call: the mean of its codes."
)
COMMON: tuple[Rule, ...] = (
    (CALLS, lambda of: len(of.trace)),
    (FRAMES, lambda of: of.frames),
    (SECONDS, lambda of: of.seconds),
    (CLIPPING, lambda of: of.clipping),
    (CODES_SURPRISE, lambda of: mean(of.code_bits)),
    (CODES_WORST, lambda of: most(of.code_bits)),
)

# Of families that say how many frames a second has, and what repeats

SILENCE = Measure(
    "longest_silence",
    "s",
    "float",
    "The longest pause before the last sound of what the run made itself, breaks that the script asks for included; "
    "all of it where nothing sounds.",
)
REPEATS = Measure(
    "repeats", "frame", "int", "Frames in stretches whose codes repeat while they sound, as the finding `loop` has it."
)
SOUNDING: tuple[Rule, ...] = (
    (SILENCE, lambda of: of.silence),
    (REPEATS, lambda of: of.repeats),
)


def measures_of(trace: Trace[Any]) -> Measures:
    """Those of the trace's family."""
    return measures_for(trace.adapter)


def measures_for(adapter: Adapter) -> Measures:
    """Those of a family; of one that declares none, those that any run has."""
    if adapter.measures is None:
        return Measures(Measured, COMMON)
    found: Measures = adapter.load("measures")
    return found
