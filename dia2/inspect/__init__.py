"""Everything that looks at a run: recording, the trace and what can be asked of it.

from dia2.inspect import load, record

with record("run.dia2trace", level="full"):
    tts.generate(script)
trace = load("run.dia2trace")
trace.explore()

Rooms beneath: `schema` (what a model family declares), `store` (a trace on disk), `trace` (a run as data), `record`,
`views` (terminal, plots, explorer) and `lab`. Names are imported when they are first used, so that looking at a trace
brings no model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dia2.inspect.record.recorder import Recorder, record  # now: the room of that name would stand in its place
from dia2.inspect.trace.extensions import register
from dia2.inspect.trace.load import load
from dia2.inspect.trace.trace import Trace

if TYPE_CHECKING:
    from dia2.adapter.frame import Frame
    from dia2.adapter.sweep import Sweep, sweep
    from dia2.adapter.trace import Dia2Trace, sample
    from dia2.common.hooks import select
    from dia2.inspect.lab.follow import follow
    from dia2.inspect.record.watch import Watch
    from dia2.inspect.schema.word import TraceWord
    from dia2.inspect.views import plots
    from dia2.inspect.views.explorer import to_html
    from dia2.inspect.views.sweeps import sweep_to_html
    from dia2.inspect.views.sweeps.open import explore_sweep

register(
    explore="dia2.inspect.views.explorer.open:explore",
    to_html="dia2.inspect.views.explorer:to_html",
    lab="dia2.inspect.lab.open:lab",
    report="dia2.inspect.views.console:report",
    explore_sweep="dia2.inspect.views.sweeps.open:explore_sweep",
)

_HOMES = {
    "Dia2Trace": "dia2.adapter.trace",
    "Frame": "dia2.adapter.frame",
    "Sweep": "dia2.adapter.sweep",
    "TraceWord": "dia2.inspect.schema.word",
    "Watch": "dia2.inspect.record.watch",
    "explore_sweep": "dia2.inspect.views.sweeps.open",
    "follow": "dia2.inspect.lab.follow",
    "select": "dia2.common.hooks",
    "sample": "dia2.adapter.trace",
    "sweep": "dia2.adapter.sweep",
    "sweep_to_html": "dia2.inspect.views.sweeps",
    "to_html": "dia2.inspect.views.explorer",
}
__all__ = [
    "Dia2Trace",
    "Frame",
    "Recorder",
    "Sweep",
    "Trace",
    "TraceWord",
    "Watch",
    "explore_sweep",
    "follow",
    "load",
    "plots",
    "record",
    "sample",
    "select",
    "sweep",
    "sweep_to_html",
    "to_html",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    if name == "plots":
        return import_module("dia2.inspect.views.plots")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
