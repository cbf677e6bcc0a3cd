"""Telling how a run goes: a callback for programs, a bar and messages for people."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dia2.wording import counted

logger = logging.getLogger("dia2")


@dataclass(frozen=True)
class Progress:
    """How far a run is, after a frame."""

    frames: int  # made so far, prefix not counted
    seconds: float  # of audio that they are
    words: int  # words and breaks begun, the prefix's too
    words_total: int  # words and breaks known; grows while text is streamed in


ProgressCallback = Callable[[Progress], None]


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
    """A bar over the words, with frames a second and the real-time factor; rich draws it in notebooks too."""
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            if not task.elapsed or not task.fields["frames"]:
                return Text("–")
            rate, real_time = task.fields["frames"] / task.elapsed, task.fields["audio"] / task.elapsed
            return Text(
                f"{counted(task.fields['frames'], 'frame')} · {rate:.1f} frames/s · {real_time:.2f} × real time"
            )

    console = Console(stderr=True)
    columns = (TextColumn("speaking"), BarColumn(bar_width=24), SpeedColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, start=False, frames=0, audio=0.0)

        def update(now: Progress) -> None:
            if now.frames == 1:
                bar.start_task(task)  # the clock starts with the first frame, not with loading
            bar.update(task, completed=now.words, total=now.words_total, frames=now.frames, audio=now.seconds)

        yield update
