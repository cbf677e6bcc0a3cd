"""What a family says of its traces, view by view; where it says nothing, the names of its columns speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dia2.inspect.schema.report import Grid, Report, Text
from dia2.inspect.trace import declared
from dia2.inspect.trace.trace import Trace


@dataclass(frozen=True)
class Reports:
    """Functions of a trace, each the report of one view. Calls and scripts count from 0; a trace has those asked for.

    An adapter names its own: `reports="package.module:REPORTS"`.
    """

    show: Callable[[Any, bool], Report] = declared.show  # (trace, with wall times)
    calls: Callable[[Any, int, int, int, bool], Report] = declared.calls  # (trace, first, last, script, with times)
    call: Callable[[Any, int, int, bool], Report] = declared.call  # (trace, call, script, with wall times)
    grid: Callable[[Any, int], Grid] = declared.grid  # (trace, script)
    where: Callable[[Any, int], Text] = declared.where  # (trace, call): which call that is, in a line
    progress: Callable[[Any], str] | None = None  # (trace), how much of a run that goes on is made, in a few words
    compared: str = "every column"  # what of two runs that are the same is the same
    parting: str | None = None  # `module:function` of (a, b), the draw at which two runs part if only rounding does it
    prefix: str | None = None  # `module:function` of (trace), what became of the prefix that a voice is cloned from


def reports_of(trace: Trace[Any]) -> Reports:
    """Those of the trace's family."""
    if trace.adapter.reports is None:
        return Reports()
    reports: Reports = trace.adapter.load("reports")
    return reports
