"""What the explorer shows of a trace: what its family says, or its columns do, and what its draws and sound say."""

from __future__ import annotations

from typing import Any

from dia2.common.errors import TraceError
from dia2.inspect.schema.view import Header, View, by_call, peaks, text
from dia2.inspect.schema.view_pipeline import Pipeline
from dia2.inspect.schema.view_shades import shades
from dia2.inspect.schema.view_signals import anomalies, loudness, pull_of_books
from dia2.inspect.schema.view_tour import check_tour, default_tour
from dia2.inspect.trace.findings import judged
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer import declared
from dia2.inspect.views.explorer.sound import samples_of


def view_of(trace: Trace[Any], *, script: int = 0, candidates: int | None = None, voice: bool = True) -> View:
    """All that the explorer shows of `trace`, except sound.

    Args:
        trace: a whole or partial one; redacted parts are empty.
        script: which of its scripts, from 0.
        candidates: of each draw at most; `None`: those that were recorded, as far as a page has room.
        voice: outline what the sound holds of a prefix, and tell how its words fit it.

    Raises:
        TraceError: the run ended before its first call, there is no such script, or the trace is damaged.
        UsageError: the tour of its family leads to what there is not.
    """
    script = trace.check_script(script)
    if not len(trace):
        raise TraceError(f"{trace.path} holds no calls to explore ({trace.state}).")
    view_of_family = declared.view_of if trace.adapter.view is None else trace.adapter.load("view")
    view: View = view_of_family(trace, script, candidates)
    view.header.update(_found(trace, script), seconds=None, pipeline=pipeline_header(trace))
    view.header["by_call"] = by_call(view.columns, view.header["calls"])
    if not voice:
        view.header["fit"] = None  # of what was heard in the recordings: a redacted copy has none of it either
    view.header.setdefault("tour", default_tour(view.header))
    check_tour(view.header)
    samples, clock = samples_of(trace, script, voice=voice), view.header["clock"]
    if samples is not None:
        view.columns["peaks"] = peaks(*samples)
        view.header.update(seconds=len(samples[0]) / samples[1], sound_rate=samples[1])
        if clock is not None:
            view.columns["loudness"] = loudness(*samples, clock["rate"])
    view.header.update(shades=shades(view, trace.adapter.layout), anomalies=[])
    if "surprise" in view.columns:
        books = [draw["book"] for draw in view.header["draws"]]
        view.header["anomalies"] = anomalies(view.columns["surprise"], books)
        view.columns["pull"] = pull_of_books(view.columns["pull"], books)
    return view


def pipeline_header(trace: Trace[Any]) -> Header | None:
    """The picture of a call, as the family declares it; `None` if it does not."""
    if trace.adapter.pipeline is None:
        return None
    declared: Pipeline = trace.adapter.load("pipeline")(trace)
    return declared.header()


def _found(trace: Trace[Any], script: int) -> Header:
    """The findings, worst first, and what they come to."""
    found, said = judged(trace, script)
    rows = [one.to_json() | {"text": text(one.text), "fix": text(one.fix)} for one in found]
    return {"findings": rows, "verdict": vars(said) | {"text": text(said.text)}}
