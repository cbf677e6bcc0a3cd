"""Recording a run and looking at it in a notebook while it is generated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dia2.common.hooks import Level, PointFilter, observing
from dia2.inspect.record.recorder import DEFAULT_BUDGET, Recorder, record
from dia2.inspect.trace.load import load
from dia2.inspect.views.extras import notebook_extra

if TYPE_CHECKING:
    from dia2.inspect.views.explorer.widget import LiveExplorer


@contextmanager
def follow(
    path: str | Path,
    *,
    level: Level = "topk",
    hooks: PointFilter | None = None,
    budget: int = DEFAULT_BUDGET,
    prefix_sound: bool = True,
) -> Iterator[LiveExplorer]:
    """Record the run that is made inside this block, and show it in the notebook meanwhile.

        with follow("run.dia2trace") as explorer:
            tts.generate(script)
        explorer.trace  # the whole trace

    Arguments and errors are those of `dia2.inspect.record`. A run that was interrupted stays on the page as far as it
    came.
    """
    with notebook_extra("To follow a run"):
        from IPython.display import display

        from dia2.inspect.views.explorer.live import Follower
        from dia2.inspect.views.explorer.widget import LiveExplorer
    explorer = LiveExplorer()
    recorder: Recorder | None = None
    try:
        with record(path, level=level, hooks=hooks, budget=budget, prefix_sound=prefix_sound) as recorder:
            display(explorer)
            with observing(Follower(recorder, explorer.add)):
                yield explorer
    finally:
        if recorder is not None and recorder.begun:  # else what lies at `path` is not of this run
            trace = load(path)
            if trace.manifest.run is not None and len(trace):
                explorer.finish(trace)
