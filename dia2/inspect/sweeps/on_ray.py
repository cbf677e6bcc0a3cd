"""Sweeps on Ray: an actor for each CPU or GPU of a cluster holds an engine and takes one job after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.wording import counted

if TYPE_CHECKING:
    from dia2.inspect.sweeps.engines import Engine, Jobs, Report
    from dia2.inspect.sweeps.worker import Done, Job, Worker

logger = logging.getLogger("dia2")

_RETRIES = 2  # times that Ray gives a job to an actor anew whose node or process has died
_AHEAD = 2  # jobs that an actor has at a time, so that none waits for the driver


def on_ray(on: str) -> Engine:
    """The engine of `ray` (a cluster of this machine's own, or the one this process has joined) or `ray://HOST:PORT`.

    Raises:
        UsageError: it is written otherwise.
        Dia2Error: ray is missing, or there is no cluster.
    """
    if on != "ray" and not on.startswith("ray://"):
        raise UsageError(f"Ray is named by ray or ray://HOST:PORT, not {on}.")
    try:
        import ray
    except ImportError as error:
        raise Dia2Error("Sweeps on Ray need it: pip install 'dia2-inspect[ray]'.") from error
    if not ray.is_initialized():
        try:
            ray.init(
                address=None if on == "ray" else on,
                log_to_driver=False,
                include_dashboard=False,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise Dia2Error(f"There is no Ray cluster at {on} ({one_line(error)}).") from error

    def engine(worker: Worker, jobs: Jobs) -> Iterator[Report]:
        return _run(ray, worker, jobs)

    return engine


class _Actor:
    """An engine on some node."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def work(self, job: Job) -> list[Done]:
        """See `Worker`."""
        return self._worker(job)


def _run(ray: Any, worker: Worker, jobs: Jobs) -> Iterator[Report]:
    from dia2.inspect.sweeps.engines import Report

    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    count = max(1, min(gpus or int(resources.get("CPU", 1)), len(jobs)))
    options = {"max_restarts": -1, "max_task_retries": _RETRIES, "num_cpus": 1, "num_gpus": 1 if gpus else 0}
    kind = ray.remote(**options)(_Actor)
    actors = [kind.remote(worker) for _ in range(count)]
    logger.info("a sweep on %s of Ray", counted(count, "actor"))
    under_way: dict[Any, tuple[Job, int]] = {}
    free = [number for _ in range(_AHEAD) for number in range(count)]
    try:
        while jobs or under_way:
            while jobs and free:
                job, number = jobs.popleft(), free.pop(0)
                under_way[actors[number].work.remote(job)] = job, number
            ready, _ = ray.wait(list(under_way), num_returns=1)
            for reference in ready:
                job, number = under_way.pop(reference)
                free.append(number)
                yield Report(job, _result(ray, reference))
    finally:
        for actor in actors:
            ray.kill(actor)


def _result(ray: Any, reference: Any) -> list[Done] | None:
    """What an actor has made; `None` if every actor that tried has died."""
    try:
        done: list[Done] = ray.get(reference)
    except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
        return None
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None
    return done
