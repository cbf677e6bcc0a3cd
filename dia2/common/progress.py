"""Telling how a run goes: a callback for programs, a bar and messages for people."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from dia2.common.messages import printable
from dia2.common.wording import counted

logger = logging.getLogger("dia2")


@dataclass(frozen=True)
class Progress:
    """How far a run is, after a frame."""

    frames: int  # made so far, prefix not counted
    seconds: float  # of audio that they are
    words: int  # words and breaks begun, the prefix's too
    words_total: int  # words and breaks known; grows while text is streamed in


ProgressCallback = Callable[[Progress], None]
_bar: ContextVar[Callable[[str], None] | None] = ContextVar("dia2_bar", default=None)


def doing(what: str, *, log: bool = True) -> None:
    """Say what is done now, such as “listening to a.wav”: on the bar, where one is shown, and in the log."""
    plain = printable(what)
    if log:
        logger.info("%s", plain)
    if (show := _bar.get()) is not None:
        show(plain)


@contextmanager
def shown(verbose: bool, callback: ProgressCallback | None) -> Iterator[ProgressCallback | None]:
    """The callback to report to: the caller's own, else with `verbose` a bar on standard error, else none.

    With `verbose`, the package's log messages also appear on standard error meanwhile.
    """
    if not verbose:
        yield callback
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("dia2: %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        if callback is not None:
            yield callback
        else:
            with progress_bar() as bar:
                yield bar
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """A bar that says what is done, and while it speaks, over the words, frames a second and the real-time factor.

    Its clock begins anew with everything that is done, so the rates are those of speaking alone. rich draws it, in
    notebooks too.
    """
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            made = task.fields["frames"] - 1  # since the first, with which the clock began
            if not task.elapsed or made < 1:
                return Text("–")
            rate, real_time = made / task.elapsed, task.fields["frame"] * made / task.elapsed
            return Text(f"{counted(made + 1, 'frame')} · {rate:.1f} frames/s · {real_time:.2f} × real time")

    console = Console(stderr=True)
    what = TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", max_width=48)
    )
    columns = (what, BarColumn(bar_width=24), SpeedColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading", total=None, frames=0, frame=0.0)

        def show(what: str) -> None:
            bar.reset(task, description=what, frames=0, frame=0.0)

        def update(now: Progress) -> None:
            if now.frames == 1:
                bar.reset(task, description="speaking", frames=1, frame=now.seconds)
            bar.update(task, completed=now.words, total=now.words_total, frames=now.frames)

        token = _bar.set(show)
        try:
            yield update
        finally:
            _bar.reset(token)
