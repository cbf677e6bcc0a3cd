"""Measures: numbers that sum up one run, so that runs of a sweep can be compared, sorted and picked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Value: TypeAlias = int | float | None  # `None`: the trace does not tell


@dataclass(frozen=True)
class Measure:
    """One number of a run: a column of a table of runs."""

    name: str  # of the column
    unit: str  # in the singular: frame, s, bit
    kind: Literal["int", "float"]
    what: str  # it says, in a sentence or two; a trace that does not tell it has none

    def value(self, told: Value) -> Value:
        """As Python's own number; `None` for what is none: NaN, or infinite."""
        if told is None or not math.isfinite(told):
            return None
        return int(told) if self.kind == "int" else float(told) + 0.0  # −0 is 0


Rule: TypeAlias = tuple[Measure, Callable[[Any], Value]]  # a measure, and what gives it from a family's evidence


@dataclass(frozen=True)
class Measures:
    """The measures of a family's runs; its adapter names them: `measures="package.module:MEASURES"`."""

    evidence: Callable[[Any, int], Any]  # (trace, script), what the rules read: each part worked out once, when asked
    rules: tuple[Rule, ...]

    @property
    def columns(self) -> tuple[Measure, ...]:
        """What is measured, in order; names are unique."""
        return tuple(measure for measure, _ in self.rules)

    def __call__(self, trace: Any, script: int = 0) -> dict[str, Value]:
        """A value for every column, in their order; `None` where the trace does not tell, and never NaN.

        Args:
            trace: of the family; it may be partial, redacted, or of a run that never began.
            script: which, from 0.

        Raises:
            TraceError: the trace is damaged, or there is no such script.
        """
        evidence = self.evidence(trace, script)
        return {measure.name: measure.value(tell(evidence)) for measure, tell in self.rules}
