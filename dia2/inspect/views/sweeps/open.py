"""Opening the explorer of a sweep in a notebook, where what it needs is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dia2.inspect.views.extras import notebook_extra

if TYPE_CHECKING:
    from dia2.inspect.views.sweeps.widget import SweepExplorer


def explore_sweep(destination: str | Path, *, voice: bool = True) -> SweepExplorer:
    """Look at a sweep in a notebook: a table of its runs, charts of what was measured, and where runs part.

    Args:
        destination: what `dia2 sweep` has written to, or `dia2.inspect.sweep`.
        voice: with what the runs' sounds hold of recordings that they go on from; else that is silent.

    Raises:
        UsageError: there is no dataset, or anywidget is not installed.
        Dia2Error: the dataset is damaged, or cannot be read.
    """
    with notebook_extra("The explorer of sweeps", ", or write a file by sweep_to_html()"):
        from dia2.inspect.views.sweeps.widget import SweepExplorer
    return SweepExplorer(destination, voice=voice)
