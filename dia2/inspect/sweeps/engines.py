"""Who makes the runs of a sweep: this process, others on this machine, or a cluster of Ray."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import NamedTuple

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.inspect.sweeps.worker import Done, Job, Worker

Jobs = deque[Job]  # that wait; more may be added while they are made


class Report(NamedTuple):
    """What became of a job."""

    job: Job
    done: list[Done] | None  # `None`: the process that made it died


class Engine(NamedTuple):
    """Who makes the jobs of a sweep."""

    count: int  # jobs that it makes at a time
    make: Callable[[Worker, Jobs], Iterator[Report]]


def engine_of(on: str) -> AbstractContextManager[Engine]:
    """The engine of that name, for as long as a sweep takes.

    Raises:
        UsageError: there is none.
        Dia2Error: as `on_ray`.
    """
    kind, _, rest = on.partition(":")
    if kind == "batches" and not rest:
        return nullcontext(Engine(1, batches))
    if kind == "processes":
        count = _count(rest, on)
        return nullcontext(Engine(count, lambda worker, jobs: processes(worker, jobs, count)))
    if kind == "ray":
        from dia2.inspect.sweeps.on_ray import on_ray

        return on_ray(on)
    raise UsageError(f"Sweeps run on batches, processes, processes:N, ray or ray://HOST:PORT, not {short(on)}.")


def _count(text: str, on: str) -> int:
    if not text:
        return os.cpu_count() or 1
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise UsageError(f"processes:N needs a number of processes from 1 to 1024, not {short(on)}.")
    return int(text)


def batches(worker: Worker, jobs: Jobs) -> Iterator[Report]:
    """In this process, each job's runs side by side."""
    while jobs:
        job = jobs.popleft()
        yield Report(job, worker(job))


_worker: Worker | None = None  # of this process, if it is one of `processes`


def _begin(worker: Worker) -> None:
    global _worker  # what a pool's processes keep between their jobs has no other place
    _worker = worker


def _work(job: Job) -> list[Done]:
    assert _worker is not None, "the pool has begun it"
    return _worker(job)


def processes(worker: Worker, jobs: Jobs, count: int) -> Iterator[Report]:
    """In processes of their own, each with an engine; a job that a process died of is made with no other beside it."""
    while jobs:
        under_way: dict[Future[list[Done]], Job] = {}
        pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (worker,))
        try:
            while jobs or under_way:
                while jobs and len(under_way) < count and not (under_way and (jobs[0].died or _suspect(under_way))):
                    job = jobs.popleft()
                    under_way[pool.submit(_work, job)] = job
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    done = future.result()  # before its job is no longer under way
                    yield Report(under_way.pop(future), done)
        except BrokenProcessPool:
            for job in under_way.values():
                yield Report(job, None)
        finally:
            pool.shutdown(cancel_futures=True)


def _suspect(under_way: dict[Future[list[Done]], Job]) -> bool:
    return any(job.died for job in under_way.values())
