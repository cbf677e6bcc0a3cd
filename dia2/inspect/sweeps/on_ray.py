"""Sweeps on Ray: an actor for each CPU or GPU of a cluster holds an engine and takes one job after the other.

Ray starts the actors, begins those anew whose process or node has died, wherever there is room, and keeps calls for
them meanwhile. An actor has one job at a time, so that none dies of another's runs.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.wording import counted
from dia2.inspect.sweeps.destination import Destination

if TYPE_CHECKING:
    from dia2.inspect.sweeps.engines import Engine, Jobs, Report
    from dia2.inspect.sweeps.worker import Done, Job, Worker

logger = logging.getLogger("dia2")

_KNOCK = 10.0  # seconds that a cluster has to answer
_PATIENCE = 60.0  # seconds without an actor after which that is said


def on_ray(on: str) -> AbstractContextManager[Engine]:
    """The engine of `ray` or `ray://HOST:PORT`.

    `ray` is the cluster that this process has joined, or that `RAY_ADDRESS` names, or that runs on this machine; where
    there is none, one of this machine alone, which is started for the sweep and ends with it.

    Raises:
        UsageError: it is written otherwise.
        Dia2Error: ray is missing; and, as it is entered, there is no such cluster.
    """
    if on != "ray" and not on.startswith("ray://"):
        raise UsageError(f"Ray is named by ray or ray://HOST:PORT, not {on}.")
    if "ray" not in sys.modules:  # it prints what its nodes say of their end, into the output of commands
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")
    try:
        import ray
    except ImportError as error:
        raise Dia2Error("Sweeps on Ray need it: pip install 'dia2-inspect[ray]'.") from error
    if on != "ray" and importlib.util.find_spec("grpc") is None:
        raise Dia2Error(f"{on} needs Ray's client: pip install 'ray[client]'.")
    return _joined(ray, on)


@contextmanager
def _joined(ray: Any, on: str) -> Iterator[Engine]:
    from dia2.inspect.sweeps.engines import Engine

    ours = not ray.is_initialized()
    try:
        if ours:
            _join(ray, on)
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        count = max(1, gpus or int(resources.get("CPU", 1)))
        yield Engine(count, lambda worker, jobs: _run(ray, worker, jobs, count, gpus > 0))
    finally:
        if ours:
            ray.shutdown()  # leaves a cluster alone that it did not start


def _join(ray: Any, on: str) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)  # of tokens, ports and versions no user of ours asks
    client = on != "ray"
    address = on if client else os.environ.get("RAY_ADDRESS", "")
    try:
        if ":" in address:
            _knock(address.removeprefix("ray://"))
        options = {} if client else {"include_dashboard": False}
        ray.init(on if client else None, log_to_driver=False, configure_logging=False, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise Dia2Error(f"There is no Ray cluster at {address or 'this machine'} ({why}).") from error


def _knock(address: str) -> None:
    """Ray would wait for minutes where nobody listens.

    Raises:
        OSError: there is nobody.
        ValueError: it is no address.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()


class _Actor:
    """An engine on some node."""

    def __init__(self, worker: Worker, folder: str) -> None:
        """Keep what to do; `folder`: from which the driver means its files."""
        self._worker = worker
        if Path(folder).is_dir():
            os.chdir(folder)

    def begin(self) -> None:
        """Find the checkpoints, and the destination.

        Raises:
            UsageError: the destination is a folder that this node does not have.
            Dia2Error: a checkpoint cannot be found.
        """
        local = Destination(self._worker.url).local
        if local is not None and not local.is_dir():
            where = socket.gethostname()
            raise UsageError(f"{local} is no folder of {where}, a node of Ray: give one that all share, or a URL.")
        self._worker.open()

    def work(self, job: Job) -> list[Done]:
        """See `Worker`."""
        return self._worker(job)


def _run(ray: Any, worker: Worker, jobs: Jobs, count: int, gpu: bool) -> Generator[Report, None, None]:
    from dia2.inspect.sweeps.engines import Report

    kind = ray.remote(max_restarts=-1, num_cpus=1, num_gpus=int(gpu))(_Actor)
    actors = [kind.remote(worker, str(Path.cwd())) for _ in range(min(count, len(jobs)))]
    logger.info("a sweep on %s of Ray", counted(len(actors), "actor"))
    beginning = {_begin(actor): actor for actor in actors}  # while one has no room, the others work
    under_way: dict[Any, tuple[Job, Any]] = {}
    free: list[Any] = []
    try:
        while jobs or under_way:
            while jobs and free:
                job, actor = jobs.popleft(), free.pop(0)
                under_way[actor.work.remote(job)] = job, actor
            ready, _ = ray.wait([*under_way, *beginning], num_returns=1, timeout=None if under_way else _PATIENCE)
            if not ready:
                logger.warning("Ray has had no room for an actor for %.0f s: its other work comes first", _PATIENCE)
            for reference in ready:
                if reference in beginning:
                    actor = beginning.pop(reference)
                    why = _why_not(ray, reference)
                    if why is None:
                        free.append(actor)
                    elif not (free or under_way or beginning):
                        raise Dia2Error(f"No actor of Ray can begin ({why}).")
                    continue
                job, actor = under_way.pop(reference)
                done = _result(ray, reference)
                if done is None:
                    ray.kill(actor, no_restart=False)  # if it cannot be reached and still works: nothing is made twice
                    beginning[_begin(actor)] = actor
                else:
                    free.append(actor)
                yield Report(job, done)
    finally:
        for actor in actors:
            ray.kill(actor)


def _begin(actor: Any) -> Any:
    """Have it begin, as soon as there is room for it, and anew wherever it dies meanwhile."""
    return actor.begin.options(max_task_retries=-1).remote()


def _why_not(ray: Any, reference: Any) -> str | None:
    """Why an actor cannot begin; `None`: it has.

    Raises:
        Dia2Error: as the actor does, and so would all others.
    """
    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise _cause(error) from None
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines()
        return lines[-1].strip() if getattr(error, "actor_init_failed", False) else one_line(error)
    return None


def _result(ray: Any, reference: Any) -> list[Done] | None:
    """What an actor has made; `None`: it has died."""
    try:
        done: list[Done] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise _cause(error) from None
    except ray.exceptions.RayError as error:
        logger.info("an actor of Ray was lost (%s)", one_line(error))
        return None
    return done


def _cause(error: Any) -> BaseException:
    """What went wrong in an actor, as it was raised there if a user is to read it; else with where it was raised."""
    cause: BaseException = error.cause if isinstance(error.cause, Dia2Error) else error.as_instanceof_cause()
    return cause
