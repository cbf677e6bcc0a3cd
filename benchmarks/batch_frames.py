"""Frames of a run alone, and of rows that are in a batch together: opened, paced and closed again.

What is timed begins with caches that are filled up to some call, as if the frames before had been made; no prefix is
read and nothing decoded. Each time tensors are new, so no two batches are in memory side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from shapes import open_run

from dia2 import GenerationConfig
from dia2.runtime.batch.schedule import Batch, Failed
from dia2.runtime.context import RuntimeContext
from dia2.runtime.turns import Rows

SETTLE = 2  # frames before the clock starts


def alone(target: RuntimeContext, config: GenerationConfig, *, fill: int, frames: int) -> float:
    """Seconds a frame of a run by itself.

    Args:
        target: what speaks.
        config: of the run.
        fill: calls that the cache holds when it begins.
        frames: to be timed.
    """
    run = open_run(target, config, first=fill)
    return _paced(partial(next, run), frames)


def together(target: RuntimeContext, config: GenerationConfig, *, rows: int, fill: int, frames: int) -> float:
    """Seconds a frame of a batch, in which each of `rows` makes one; the rest as for `alone`."""
    with opened(target, config, rows=rows, fill=fill) as batch:
        return _paced(partial(_frame, batch, rows), frames)


@contextmanager
def opened(target: RuntimeContext, config: GenerationConfig, *, rows: int, fill: int) -> Iterator[Batch]:
    """A batch that all of its rows have joined, before their first frame.

    Raises:
        SystemExit: there is no memory for so many rows.
    """
    batch = Batch(target, branches=branches_of(config), most=rows)
    try:
        for seed in range(rows):
            if not batch.has_room():
                raise SystemExit(f"There is no memory for {rows} rows, only for {seed}: leave them out of --rows.")
            batch.join(seed, partial(_row, target, replace(config, seed=seed), fill))
        yield batch
    finally:
        batch.close()


def branches_of(config: GenerationConfig) -> int:
    """Lanes that a run takes."""
    return 1 if config.cfg_scale == 1.0 else 2


def _row(target: RuntimeContext, config: GenerationConfig, fill: int, rows: Rows) -> Generator[Any, None, None]:
    yield from open_run(target, config, first=fill, rows=rows)


def _frame(batch: Batch, rows: int) -> None:
    batch.frame()
    for event in batch.events:
        if isinstance(event, Failed):
            raise event.error
    assert sorted(event.key for event in batch.events) == list(range(rows)), "each row makes one frame"
    batch.events.clear()


def _paced(frame: Callable[[], object], frames: int) -> float:
    for _ in range(SETTLE):
        frame()
    began = time.perf_counter()
    for _ in range(frames):
        frame()
    return (time.perf_counter() - began) / frames
