"""Measures of a run of Dia2."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from dia2.adapter.drift import fits
from dia2.adapter.findings.repeats import sounding_calls
from dia2.adapter.trace import Dia2Trace
from dia2.inspect.schema.measure import Measure, Measures, Rule
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.trace.levels import Levels, ends_sounding
from dia2.inspect.trace.loops import repeating
from dia2.inspect.trace.measured import COMMON, SOUNDING, Measured, known, mean, most

ASKED = Measure("words_asked", "word", "int", "Words of the script; those of a prefix are none of them.")
SPOKEN = Measure("words_spoken", "word", "int", "Words of the script that begin to sound within the audio.")
CUT = Measure(
    "words_cut",
    "word",
    "int",
    "Words of the script that are not said to their end: they do not begin within the audio, or are the last that "
    "does, and the audio ends in its sound, as the finding `word-cut` has it.",
)
PACE = Measure(
    "seconds_per_word",
    "s",
    "float",
    "Length of what the run made itself, pauses included, for each word that is spoken.",
)
ACTION_SURPRISE = Measure(
    "action_surprise",
    "bit",
    "float",
    "−log₂ p of the action that was drawn: the mean over all calls that kept chances.",
)
ACTION_WORST = Measure("action_surprise_worst", "bit", "float", "−log₂ p of the least likely action.")
DRIFT = Measure(
    "prefix_drift",
    "s",
    "float",
    "By how much the prefix's word that stands farthest from its sound comes late, below 0 early; of the words of "
    "which that can be told. None without a prefix.",
)


class Dia2Measured(Measured[Dia2Trace]):
    """A run of Dia2, looked at."""

    @property
    def rate(self) -> float | None:
        """See `Measured`."""
        return self.trace.model.frame_rate if self.trace.begun else None

    def repeating(self, levels: Levels) -> list[tuple[int, int, int]]:
        """See `Measured`."""
        model, own = self.trace.model, slice(self.trace.warmup_calls, None)
        return repeating(self.trace.codes[own], sounding_calls(self.trace, levels), model.frame_rate)

    @cached_property
    def sound(self) -> tuple[np.ndarray, int] | None:
        """See `Measured`; as the trace keeps it once it is read."""
        return self.trace.audio if self.trace.begun else None

    @property
    def seconds(self) -> float | None:
        """See `Measured`; by the manifest, which says it even where the sound was redacted."""
        samples = self.trace.manifest.result.samples
        return samples / self.trace.model.sample_rate if samples and self.trace.begun else None

    @cached_property
    def asked(self) -> int | None:
        """Words of the script."""
        return len(_script(self.trace.words)) if self.trace.begun else None

    @cached_property
    def spoken(self) -> int | None:
        """Those that begin within the audio."""
        heard = self.trace.heard if self.trace.begun else None
        return None if heard is None else len(_script(heard))

    @property
    def cut(self) -> int | None:
        """Those that are not said to their end."""
        if self.sound is None or self.asked is None or self.spoken is None:
            return None
        broken = self.spoken > 0 and self.levels is not None and ends_sounding(self.levels)
        return self.asked - self.spoken + broken

    @property
    def pace(self) -> float | None:
        """Seconds a word."""
        if self.seconds is None or not self.spoken:
            return None
        return (self.seconds - self.trace.given_samples() / self.trace.model.sample_rate) / self.spoken

    @property
    def drift(self) -> float | None:
        """Seconds that the worst word of the prefix comes late."""
        if not self.trace.begun or "voice" in self.trace.redacted:
            return None
        told = [drift for fit in fits(self.trace) for drift in fit.drift if drift is not None]
        return max(told, key=abs, default=None)

    @cached_property
    def action_bits(self) -> np.ndarray:
        """[n] bits of the action of each call that has them."""
        bits, names = self.bits
        return known(bits[:, names.index("action")]) if "action" in names else np.zeros(0)


def _script(words: list[TraceWord]) -> list[TraceWord]:
    return [word for word in words if not word.prefix]


_OWN: tuple[Rule, ...] = (
    (ASKED, lambda of: of.asked),
    (SPOKEN, lambda of: of.spoken),
    (CUT, lambda of: of.cut),
    (PACE, lambda of: of.pace),
    (ACTION_SURPRISE, lambda of: mean(of.action_bits)),
    (ACTION_WORST, lambda of: most(of.action_bits)),
    (DRIFT, lambda of: of.drift),
)
MEASURES = Measures(Dia2Measured, (*COMMON, *SOUNDING, *_OWN))
