"""`dia2 trace watch`: a run as it grows, recorded by another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text as Rich

from dia2.common.checks import is_file
from dia2.common.errors import TraceError
from dia2.common.wording import counted
from dia2.inspect.schema.report import Facts, Part, Text
from dia2.inspect.store.layout import MANIFEST
from dia2.inspect.store.lock import is_held
from dia2.inspect.trace.load import load
from dia2.inspect.trace.reports import reports_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.page import Page

EVERY = 0.25  # seconds between two looks at the folder
_PATIENCE = 20  # looks in a row for which what cannot be read may be half written
_WAITING = "waiting for the run to begin"
_KILLED = "partial: the run was killed"


@dataclass(frozen=True)
class Look:
    """What is there at one moment."""

    path: Path
    state: str
    trace: Trace[Any] | None  # `None`: nothing of the run yet
    over: bool = False  # nothing will change any more

    @property
    def facts(self) -> Facts:
        """For `--json`."""
        calls, complete = (0, False) if self.trace is None else (len(self.trace), self.trace.complete)
        return {"path": str(self.path), "state": self.state, "complete": complete, "calls": calls}

    @property
    def told(self) -> list[tuple[str, Text]]:
        """What there is to say besides the state: labels, and what belongs to them."""
        if self.trace is None:
            return []
        reports = reports_of(self.trace)
        told: list[tuple[str, Text]] = [("row", _running(self.trace))] if not self.over else []
        told.append(("calls", counted(len(self.trace), "call")))
        if len(self.trace) and not self.over:
            told.append(("last", reports.where(self.trace, len(self.trace) - 1)))
        if len(self.trace) and reports.progress is not None:
            told.append(("made", reports.progress(self.trace)))
        return [(name, text) for name, text in told if text]


def watch(
    path: str | Path, console: Console | None, *, every: float = EVERY, wait: Callable[[float], None] = time.sleep
) -> Facts:
    """Show the run that is recorded to `path` until it is over: in place on a terminal, else a line for each change.

    A run that was killed is over, too; where the system knows no locks, that is not seen.

    Args:
        path: the folder; the run may be about to begin there.
        console: where to show it; `None`: nowhere.
        every: seconds between two looks at the folder.
        wait: passes them.

    Returns:
        Path, state and number of calls in the end.

    Raises:
        TraceError: there is no trace and none is about to begin, or it is damaged.
        KeyboardInterrupt: Ctrl-C; the run itself goes on.
    """
    watched = Watched(Path(path))
    with ExitStack() as stack:
        live = None
        if console is not None and console.is_terminal:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
        shown = None
        while True:
            look = watched.look()
            if console is not None and look is not None:
                line = Page(console).text(_joined(look))
                if line.plain != shown and live is not None:
                    live.update(_block(look, Page(console, least=1)), refresh=True)
                elif line.plain != shown:
                    Page(console).line(line)
                shown = line.plain
            if look is not None and look.over:
                return look.facts
            wait(every)


class Watched:
    """A folder that a run is recorded to, looked at again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamps: list[tuple[str, int, int]] | None = None  # of the files when they were read
        self._trace: Trace[Any] | None = None
        self._unread = 0  # looks in a row at what could not be read

    def look(self) -> Look | None:
        """What is there now; `None`: what says nothing yet, as it is being written.

        Raises:
            TraceError: there is no trace and nobody writes one, or it stays damaged.
        """
        # First who writes, then what: once the lock is let go of, what is there is the end.
        held = is_held(self._path)
        if held and not is_file(self._path / MANIFEST):
            self._trace = None
            return Look(self._path, _WAITING, None)
        try:
            trace = self._read()
        except TraceError:
            self._unread += 1
            if not held or self._unread > _PATIENCE:
                raise
            return None
        self._unread = 0
        if trace.manifest.status == "running":
            killed = held is False
            return Look(self._path, _KILLED if killed else "running", trace, killed)
        # While somebody holds it, a run that is over is about to be replaced by another, or ends in this moment.
        return None if held else Look(self._path, trace.state, trace, over=True)

    def _read(self) -> Trace[Any]:
        stamps = _stamps(self._path)
        if self._trace is None or stamps != self._stamps:
            self._trace, self._stamps = load(self._path), stamps
        return self._trace


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of each file, but for those of a write that goes on."""
    found = []
    try:
        for file in folder.iterdir():
            if not file.name.startswith("."):
                facts = file.lstat()
                found.append((file.name, facts.st_size, facts.st_mtime_ns))
    except (OSError, ValueError):  # a file went meanwhile, or there is no such folder: whoever reads it says so
        return []
    return sorted(found)


def _running(trace: Trace[Any]) -> str:
    """The innermost row that the run is in; empty between rows."""
    rows = {row.phase: row for row in trace.adapter.rows}
    found = [rows[phase.name] for phase in trace.phases if phase.seconds is None and phase.name in rows]
    return f"{found[-1].number} {found[-1].title}" if found else ""


def _parts(text: Text) -> list[Part]:
    return text if isinstance(text, list) else [text]


def _joined(look: Look) -> list[Part]:
    """All of it in a line."""
    parts: list[Part] = [(look.path.name, "head"), f"  {look.state}"]
    for name, text in look.told:
        parts += [": " if name == look.told[0][0] else " · ", *_parts(text)]
    return parts


def _block(look: Look, page: Page) -> Group:
    """Lines no wider than the terminal: one that it wraps could not be wiped out again."""
    label = max((len(name) for name, _ in look.told), default=0)
    lines: list[Sequence[Part]] = [[(look.path.name, "head"), f"  {look.state}"]]
    lines += [[(f"  {name:<{label}}  ", "label"), *_parts(text)] for name, text in look.told]
    shown: list[Rich] = [page.text([*line]) for line in lines]
    for line in shown:
        line.truncate(page.width, overflow="ellipsis")
        line.end = "\n"
    return Group(*shown)
