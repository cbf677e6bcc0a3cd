"""Making a sweep: what its plan asks for and the dataset does not have yet."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dia2.common.errors import UsageError, one_line
from dia2.common.hashing import hash_path
from dia2.common.wording import counted
from dia2.inspect.schema.maker import Maker
from dia2.inspect.sweeps import dataset
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.engines import Engine, Report, engine_of
from dia2.inspect.sweeps.lock import locked
from dia2.inspect.sweeps.plan import CHECKPOINT, Plan, Planned, id_of, open_maker
from dia2.inspect.sweeps.rows import measure_kinds
from dia2.inspect.sweeps.worker import Done, Job, Worker
from dia2.inspect.trace.tables import arrow

logger = logging.getLogger("dia2")

_GROUPS = 4  # times `rows` runs in a job: enough that rows are rarely empty, few enough that little is lost
_SHARES = 4  # jobs for each of several engines, if there are few runs: so that all of them end at about one time


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is."""

    done: int  # runs in the dataset, failed ones too
    failed: int
    total: int  # of the plan
    made: int  # since this sweep began
    frames: int  # generated since then, as far as this process knows
    seconds: float  # since then

    @property
    def left(self) -> float | None:
        """Seconds that are left, at the pace so far; `None` while none is known."""
        return (self.total - self.done) * self.seconds / self.made if self.made else None


Tell = Callable[[SweepProgress], object]


@dataclass(frozen=True)
class Summary:
    """What a sweep has made."""

    url: str
    runs: list[Planned]
    made: int  # now
    found: int  # that were in the dataset already
    failed: dict[str, str]  # why, by run: those that failed now
    failed_before: int  # of those that were there
    seconds: float

    def __str__(self) -> str:
        failed = f", {counted(len(self.failed), 'run')} of them failed" if self.failed else ""
        before = f" ({self.failed_before} had failed: --again)" if self.failed_before else ""
        found = f", {self.found} were there{before}" if self.found else ""
        return f"{counted(self.made, 'run')} made in {self.seconds:.1f} s{failed}{found}: {self.url}"


def make(
    plan: Plan,
    destination: str | Path,
    *,
    makers: Sequence[Maker] | None = None,
    again: bool = False,
    tell: Tell | None = None,
) -> Summary:
    """Make all runs of a plan that are not in the dataset yet.

    Args:
        plan: what to make.
        destination: a folder or a URL; one that has runs goes on to have them.
        makers: of `plan.models`, already opened; `None`: they are opened.
        again: make runs anew that failed before.
        tell: called as the sweep goes on, often.

    Raises:
        UsageError: the plan asks for what no checkpoint can run, or another sweep writes there.
        Dia2Error: a checkpoint cannot be loaded, or nothing can be written.
        KeyboardInterrupt: Ctrl-C; what is finished is in the dataset.
    """
    arrow()
    makers = [open_maker(model) for model in plan.models] if makers is None else makers
    if plan.run.whisper is not None:
        makers[0].check_whisper(plan.run.whisper)
    joining, there = engine_of(plan.run.on), Destination(destination)
    logger.info("planning %s", counted(plan.size, "run"))
    runs = plan.runs(makers)
    with locked(there):  # made, if need be, when all is found good
        dataset.remove_unfinished(there)
        known = dataset.statuses(there)
        if again:
            failed = {run.id for run in runs if known.get(run.id) == dataset.FAILED}
            dataset.forget(there, failed)
            known = {run: status for run, status in known.items() if run not in failed}
        missing = [run for run in runs if run.id not in known]
        _keep_plan(plan, there, makers)
        _keep_recordings(plan, there, makers, missing)
        counter = _Counter(len(runs), [known[run.id] for run in runs if run.id in known], tell)
        kinds = plan.kinds | _kinds(makers) | measure_kinds(plan.family)
        if plan.run.whisper is not None:
            kinds["word_errors"] = "float"
        url = there.url if there.local is None else str(there.local.resolve())  # others may be elsewhere
        worker = Worker(url, plan.models, plan.run, kinds, list(makers), there, counter.frame)
        if missing:
            with joining as engine:
                _run(engine, worker, missing, counter)
    return Summary(
        str(destination),
        runs,
        counter.made,
        len(runs) - len(missing),
        counter.errors,
        counter.old,
        time.monotonic() - counter.began,
    )


def _kinds(makers: Sequence[Maker]) -> dict[str, str]:
    """Of the columns that every run has."""
    found = {CHECKPOINT: "text"}
    for maker in makers:
        found |= maker.columns
    return found


def _run(engine: Engine, worker: Worker, runs: Sequence[Planned], counter: _Counter) -> None:
    jobs = deque(_jobs(runs, _size(worker.options.rows, len(runs), engine.at_once)))
    with closing(engine.make(worker, jobs)) as reports:
        for report in reports:
            for done in _settled(report, worker, jobs):
                counter.add(done)
            counter.check()


def _size(rows: int, runs: int, engines: int) -> int:
    """How many runs are a job: all engines have some, and none is still at it when the others have long ended."""
    most = rows * _GROUPS
    return most if engines == 1 else max(1, min(most, max(rows, runs // (engines * _SHARES)), -(-runs // engines)))


def _jobs(runs: Iterable[Planned], size: int) -> Iterator[Job]:
    """Runs in groups of one checkpoint."""
    group: list[Planned] = []
    for run in runs:
        if group and (len(group) == size or group[0].model != run.model):
            yield Job(tuple(group))
            group = []
        group.append(run)
    if group:
        yield Job(tuple(group))


def _settled(report: Report, worker: Worker, jobs: deque[Job]) -> list[Done]:
    """The runs of a job that are over; of one whose process died, those it recorded: the others are tried again."""
    job, done = report
    if done is not None:
        return done
    there = Destination(worker.url)
    known = dataset.errors(there)
    recorded = [Done(run.id, known[run.id]) for run in job.runs if run.id in known]
    job = replace(job, runs=tuple(run for run in job.runs if run.id not in known))
    dataset.remove(there, dataset.group_name(run.id for run in report.job.runs))
    again = job.again() if job.runs else []
    if again:
        logger.warning("a process died while it made %s: tried again", counted(len(job.runs), "run"))
        jobs.extend(again)
    if again or not job.runs:
        return recorded
    why = "The process that made it died, twice."
    return recorded + [worker.give_up(run, why, job.died + 1) for run in job.runs]


def _keep_plan(plan: Plan, there: Destination, makers: Sequence[Maker]) -> None:
    """What was asked for, beside what came out."""
    content: dict[str, Any] = {"model": dict(plan.model), "grid": dict(plan.grid), "run": asdict(plan.run)}
    content["in_force"] = sorted(_kinds(makers))  # the columns that tell settings, asked for or not
    there.write(f"plans/{id_of(content)}.json", json.dumps(content, ensure_ascii=False, indent=1).encode())


def _keep_recordings(plan: Plan, there: Destination, makers: Sequence[Maker], runs: Sequence[Planned]) -> None:
    """Store what runs go on from, once each.

    Raises:
        UsageError: one of them cannot be read.
        Dia2Error: it cannot be written.
    """
    paths = dict.fromkeys(path for run in runs for path in makers[run.model].recordings(run.given))
    if not paths:
        return
    if there.local is None:
        names = ", ".join(path.name for path in paths)
        what = "the recordings and " if plan.run.voice else ""
        out = "; --no-voice leaves out the recordings" if plan.run.voice else ""
        logger.warning("%s will carry %swhat runs make of the voices in %s%s", there, what, names, out)
    if not plan.run.voice:
        return
    there_already = set(there.children(dataset.RECORDINGS))
    for path in paths:
        try:
            name = f"{hash_path(path)}{path.suffix}"
            if name not in there_already:
                there.write(f"{dataset.RECORDINGS}/{name}", path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({one_line(error)}).") from error


class _Counter:
    """Counts what is made, and tells."""

    def __init__(self, total: int, known: Sequence[str], tell: Tell | None) -> None:
        self._total, self._tell = total, tell
        self._found, self.old = len(known), known.count(dataset.FAILED)
        self._frames = 0
        self._broken: Exception | None = None  # by which the caller's function failed amid a run
        self.errors: dict[str, str] = {}  # by run
        self.made = 0
        self.began = time.monotonic()
        self._say()

    def frame(self) -> None:
        self._frames += 1
        try:
            self._say()
        except Exception as error:  # noqa: BLE001  # it is no run's fault; raised when these are over
            self._broken = error

    def add(self, done: Done) -> None:
        self.made += 1
        if done.error is not None:
            self.errors[done.run] = done.error
            logger.warning("run %s failed: %s", done.run, done.error)
        self._say()

    def check(self) -> None:
        """Raise what the caller's function has raised meanwhile."""
        if self._broken is not None:
            raise self._broken

    def _say(self) -> None:
        if self._tell is not None:
            failed, spent = self.old + len(self.errors), time.monotonic() - self.began
            self._tell(SweepProgress(self._found + self.made, failed, self._total, self.made, self._frames, spent))
