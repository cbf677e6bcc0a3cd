"""Measures of one script of a run of Dia."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from dia.adapter.findings import sounding_frames
from dia.adapter.trace import DiaTrace
from dia2.inspect.schema.measure import Measures
from dia2.inspect.trace.levels import Levels
from dia2.inspect.trace.loops import repeating
from dia2.inspect.trace.measured import COMMON, SOUNDING, Measured
from dia2.inspect.trace.unlikely import surprise_of


class DiaMeasured(Measured[DiaTrace]):
    """A script of a run of Dia, looked at. Its frames are those of its codes; others of the batch may have more."""

    @property
    def rate(self) -> float | None:
        """See `Measured`."""
        return self.trace.model.frame_rate if self.trace.begun else None

    @property
    def frames(self) -> int:
        """See `Measured`."""
        return len(self.codes)

    @cached_property
    def codes(self) -> np.ndarray:
        """[frames, C] of the script."""
        return self.trace.codes(self.script) if len(self.trace) else np.zeros((0, 1), np.int32)

    def repeating(self, levels: Levels) -> list[tuple[int, int, int]]:
        """See `Measured`."""
        assert self.rate is not None, "there are no levels without"
        counts = sounding_frames(self.trace, self.script, self.codes, levels)
        return repeating(self.codes[: len(counts)], counts, self.rate)

    @cached_property
    def bits(self) -> tuple[np.ndarray, list[str]]:
        """See `Measured`; of the calls that write the script's frames, and none that come after its end."""
        bits, names = surprise_of(self.trace, self.script)
        if not self.frames:
            return bits[:0], names
        run, model = self.trace.run, self.trace.model
        return bits[: run.prefill_steps[self.script] - 1 + self.frames + model.max_delay], names


MEASURES = Measures(DiaMeasured, (*COMMON, *SOUNDING))
