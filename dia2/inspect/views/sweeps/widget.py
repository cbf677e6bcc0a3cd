"""The explorer of a sweep in a notebook: its runs, and beneath them the explorer of the one that was opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.answering import answer
from dia2.inspect.views.explorer.instead import Beside, Kept
from dia2.inspect.views.explorer.widget import Explorer
from dia2.inspect.views.sweeps.bundle import script, style
from dia2.inspect.views.sweeps.gathered import Gathered, gather
from dia2.inspect.views.sweeps.parting import partings
from dia2.inspect.views.sweeps.payload import payload
from dia2.inspect.views.sweeps.sounds import sound_of, trace_of
from dia2.inspect.views.sweeps.summary import summary_lines

_HOW = "run the notebook's cell again, or write a page that needs no notebook by sweep_to_html()."


class SweepPage(anywidget.AnyWidget):
    """The front end; it asks the kernel for sounds, and to open runs."""

    _esm = script("widget")
    _css = style()
    _view = traitlets.Bytes(b"").tag(sync=True)
    _cell = traitlets.Unicode("").tag(sync=True)  # that shows it; see `dia2.inspect.views.explorer.instead`

    def __init__(self, view: bytes, cell: str, answers: dict[str, Callable[[int], list[bytes]]]) -> None:
        """Show packed runs.

        Args:
            view: see `payload`.
            cell: name of the cell.
            answers: what answers each kind of question, given the place of a run.
        """
        self._answers = answers
        super().__init__(_view=view, _cell=cell)
        self.on_msg(self._answer)

    def _answer(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer what the front end wants."""
        kind, run = (content.get("kind"), content.get("run")) if isinstance(content, dict) else (None, None)
        if not isinstance(kind, str) or kind not in self._answers:
            return
        head = {"kind": kind, "run": run if isinstance(run, int) else None}
        answer(self.send, head, lambda: self._answers[kind](run))  # type: ignore[arg-type]  # which checks it


class SweepExplorer(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The runs of a sweep; made by `dia2.inspect.explore_sweep`.

    From code: `explorer.open_run(3)`, `explorer.opened`.
    """

    def __init__(self, destination: str | Path, *, voice: bool = True) -> None:
        """See `dia2.inspect.explore_sweep`."""
        self.found: Gathered = gather(destination)
        self.opened: Trace[Any] | None = None  # the run whose explorer stands below
        self._voice = voice
        self._beside = Beside(_HOW)
        answers: dict[str, Callable[[int], list[bytes]]] = {"hear": self._hear, "open": self._open}
        self._page = SweepPage(payload(self.found, partings(self.found)), self._beside.cell, answers)
        self._below = widgets.Box([], layout={"width": "100%", "display": "block"})
        super().__init__([self._page, self._below])

    def __repr__(self) -> str:
        failed = int(self.found.failed.sum())
        runs = counted(len(self.found), "run")
        return f"<SweepExplorer of {self.found.name}: {runs}{f', {failed:,} failed' if failed else ''}>"

    def _ipython_display_(self) -> None:
        self._beside.display(self, [*summary_lines(self.found), repr(self)], Kept(None))

    def open_run(self, run: int | str) -> Explorer:
        """Show the explorer of a run below the others.

        Args:
            run: its id, or its place in the table as it is first.

        Raises:
            UsageError: there is no such run, or it has no trace here.
            TraceError: its trace is damaged, or holds no calls.
        """
        if isinstance(run, str):
            if run not in self.found.raw_ids:
                raise UsageError(f"There is no run {run[:100]} in {self.found.there}.")
            run = self.found.raw_ids.index(run)
        trace = trace_of(self.found, self._checked(run))
        shown = Explorer(trace, voice=self._voice, page=False, cell=self._beside.cell)
        self.opened, before = trace, self._below.children
        self._below.children = [shown]
        for widget in before:
            widget.close()
        return shown

    def _open(self, run: int) -> list[bytes]:
        self.open_run(self._checked(run))
        return []

    def _hear(self, run: int) -> list[bytes]:
        return [sound_of(trace_of(self.found, self._checked(run)), voice=self._voice)]

    def _checked(self, run: object) -> int:
        if isinstance(run, int) and not isinstance(run, bool) and 0 <= run < len(self.found):
            return run
        raise UsageError(f"A run is a number from 0 to {len(self.found) - 1}, or its id.")
