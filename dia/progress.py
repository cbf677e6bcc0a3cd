"""A bar for people: how many rows there are, and how fast they come. Nobody knows where a script will end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dia2.common.wording import counted


@contextmanager
def progress_bar() -> Iterator[Callable[[int], None]]:
    """A bar on standard error, which rich draws in notebooks too; what it gives takes the number of steps so far."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("speaking · {task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, start=False, said="reading the text")

        def update(steps: int) -> None:
            if steps == 1:
                bar.start_task(task)  # the clock starts with the first step
            elapsed = bar.tasks[0].elapsed
            speed = f" · {steps / elapsed:.1f} rows/s" if elapsed else ""
            bar.update(task, said=f"{counted(steps, 'row')}{speed}")

        yield update
