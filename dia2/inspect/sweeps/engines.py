"""Who makes the runs of a sweep: this process, others on this machine, or a cluster of Ray."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from typing import NamedTuple

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.stopping import Stopping
from dia2.inspect.sweeps.worker import Done, Job, Worker

Jobs = deque[Job]  # that wait; more may be added while they are made


class Report(NamedTuple):
    """What became of a job."""

    job: Job
    done: list[Done] | None  # `None`: the process that made it died


class Engine(NamedTuple):
    """Who makes the jobs of a sweep."""

    at_once: int  # jobs that it makes side by side
    make: Callable[[Worker, Jobs], Generator[Report, None, None]]


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


def batches(worker: Worker, jobs: Jobs) -> Generator[Report, None, None]:
    """In this process, each job's runs side by side."""
    while jobs:
        job = jobs.popleft()
        yield Report(job, worker(job))


_worker: Worker | None = None  # of this process, if it is one of `processes`
_over = threading.Event()  # it is to make no more


def _begin(worker: Worker, over: Connection) -> None:
    """Make ready a process of a pool, which ends with its parent, and stops its job when `over` is closed.

    Ctrl-C at a terminal reaches all processes: it is for the parent to say that they stop, each once.
    """
    global _worker  # what a pool's processes keep between their jobs has no other place
    _worker = worker
    worker.tell = _go_on
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(over,), daemon=True, name="dia2-sweep-parent").start()


def _watch(over: Connection) -> None:
    parent = parent_process()
    assert parent is not None, "of a pool's process"
    wait_for([over])
    logging.getLogger("dia2").setLevel(logging.ERROR)  # that it is interrupted is for the parent to say
    _over.set()
    wait_for([parent.sentinel])  # at once, if it was killed
    os._exit(1)


def _go_on() -> None:
    """Between two frames: what is finished by then is kept."""
    if _over.is_set():
        raise KeyboardInterrupt


def _work(job: Job) -> list[Done]:
    assert _worker is not None, "the pool has begun it"
    _go_on()
    return _worker(job)


def processes(worker: Worker, jobs: Jobs, count: int) -> Generator[Report, None, None]:
    """In processes of their own, each with an engine; a job that a process died of is made with no other beside it."""
    while jobs:
        under_way: dict[Future[list[Done]], Job] = {}
        context = get_context("spawn")
        over, ours = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(count, context, _begin, (worker, over))
        try:
            while jobs or under_way:
                while jobs and len(under_way) < count and not (under_way and (jobs[0].died or _suspect(under_way))):
                    job = jobs.popleft()
                    with _ctrl_c_later():  # never, in a process that is started meanwhile
                        future = pool.submit(_work, job)
                    under_way[future] = job
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    done = future.result()  # before its job is no longer under way
                    yield Report(under_way.pop(future), done)
        except BrokenProcessPool:
            for job in under_way.values():
                yield Report(job, None)
        finally:
            ours.close()
            pool.shutdown(cancel_futures=True)
            over.close()


def _suspect(under_way: dict[Future[list[Done]], Job]) -> bool:
    return any(job.died for job in under_way.values())


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Let Ctrl-C come when the block is over. Processes that are started in it keep it from coming, all along.

    To ignore it meanwhile would keep it from them as well, and lose it here.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield  # other threads are not interrupted
        return
    with Stopping() as stopping:  # another thread may be told of it, and this one not know that it is blocked
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if stopping.asked:
        raise KeyboardInterrupt
