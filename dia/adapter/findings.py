"""What can be wrong with a run of Dia; see `dia2.inspect.trace.findings`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from dia2.inspect.schema.finding import Finding
from dia2.inspect.trace.findings import SCRIPT_CUT, Case, Detector

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace


def _cut_off(case: Case) -> Iterator[Finding]:
    """A script whose end was forced before the model drew it."""
    trace = cast("DiaTrace", case.trace)
    reasons = trace.manifest.result.stop_reasons
    if reasons is not None and reasons[case.script] == "max_tokens":
        whose = f"Script {case.script + 1}" if trace.scripts > 1 else "The script"
        limit = trace.run.config.max_tokens
        steps = "the most that there may be" if limit is None else f"max_tokens = {limit:,}"
        yield SCRIPT_CUT.found(f"{whose} reached {steps} before the model drew its end.", len(trace) - 1)


DETECTORS = (Detector((SCRIPT_CUT,), _cut_off),)
