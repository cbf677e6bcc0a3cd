"""Making a group of runs, and writing what came out: the same by every engine."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dia2.common.errors import Dia2Error, TraceError, one_line
from dia2.common.kept import cache_folder
from dia2.inspect.schema.maker import Made, Maker, Recorded
from dia2.inspect.store.layout import SUFFIX
from dia2.inspect.sweeps import dataset, rows
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.plan import Planned, RunOptions, open_maker
from dia2.inspect.trace.load import load
from dia2.inspect.trace.tables import arrow
from dia2.inspect.trace.trace import Trace

logger = logging.getLogger("dia2")

TRIES = 2  # of a run that fails


@dataclass(frozen=True)
class Job:
    """Runs that one engine makes at a time, all of one checkpoint."""

    runs: tuple[Planned, ...]
    died: int = 0  # how often the process that made them ended without a word

    def alone(self) -> list[Job]:
        """Its runs, each by itself: one of them has brought a process to its end."""
        return [Job((run,), self.died + 1) for run in self.runs]


@dataclass(frozen=True)
class Done:
    """A run that is in the dataset."""

    run: str
    error: str | None  # why it failed


@dataclass
class Worker:
    """Makes jobs of a plan. A pickle of it opens checkpoints and destination anew, where it is used."""

    url: str  # of the destination
    models: list[dict[str, Any]]  # of the plan; see `Plan.models`
    options: RunOptions  # of the plan
    kinds: dict[str, str]  # of the columns of `runs` that are not the same in every sweep
    makers: list[Maker] | None = None  # of the models; `None`: not opened yet
    there: Destination | None = None
    tell: Callable[[], object] = field(default=bool)  # called after every frame of every run

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs."""
        return self.__dict__ | {"makers": None, "there": None, "tell": bool}

    def open(self) -> list[Maker]:
        """Find the checkpoints, once; nothing is loaded.

        Raises:
            Dia2Error: one of them cannot be found.
        """
        if self.makers is None:
            self.makers = [open_maker(model) for model in self.models]
        return self.makers

    def __call__(self, job: Job) -> list[Done]:
        """Make the runs of a job that are not recorded yet, and write all of them into the dataset.

        Raises:
            Dia2Error: the checkpoint cannot be loaded, or nothing can be written.
            KeyboardInterrupt: Ctrl-C; what is finished is in the dataset.
        """
        there = self.there = self.there or Destination(self.url)
        maker = self.open()[job.runs[0].model]
        with _traces(there, job) as folders:
            missing = [run for run in job.runs if not is_complete(folders[run.id])]
            results = {run.id: Result(Made(None), 1) for run in job.runs if run not in missing}
            try:
                for tries in range(1, TRIES + 1):
                    asked = [(run.settings, Recorded(folders[run.id], self.options.level)) for run in missing]
                    made = maker.make(asked, self.options.rows, self.tell) if asked else []
                    results |= {run.id: Result(one, tries) for run, one in zip(missing, made, strict=True)}
                    missing = [run for run in missing if results[run.id].made.error is not None]
            except KeyboardInterrupt:
                finished = tuple(run for run in job.runs if is_complete(folders[run.id]))
                self._write(finished, folders, {run.id: Result(Made(None), 1) for run in finished}, maker)
                raise
            return self._write(job.runs, folders, results, maker)

    def give_up(self, run: Planned, why: str, tries: int) -> Done:
        """Note a run that failed without having been made."""
        there = self.there = self.there or Destination(self.url)
        maker = self.open()[run.model]
        self._commit(there, maker, [self._row(run, None, Result(Made(Dia2Error(why)), tries), maker)], [], [run])
        return Done(run.id, why)

    def _write(
        self, runs: Sequence[Planned], folders: Mapping[str, Path], results: Mapping[str, Result], maker: Maker
    ) -> list[Done]:
        assert self.there is not None, "while it works"
        done, good = [], list[tuple[Planned, dict[str, Any], Trace[Any]]]()
        for run in runs:
            result, folder = results[run.id], folders[run.id]
            if self.there.local is None:
                self.there.put(folder, trace_name(run.id))
            row, trace = self._told(run, folder, result, maker)
            if row["error"] is None and trace is not None:
                good.append((run, row, trace))
            else:
                self._commit(self.there, maker, [row], [], [run])
            done.append(Done(run.id, row["error"]))
        if good:
            kept = [(run.id, trace) for run, _, trace in good]
            self._commit(self.there, maker, [row for _, row, _ in good], kept, [run for run, _, _ in good])
        return done

    def _told(
        self, run: Planned, folder: Path, result: Result, maker: Maker
    ) -> tuple[dict[str, Any], Trace[Any] | None]:
        """The row of a run, and its trace; a run whose trace cannot be read has failed."""
        trace = opened(folder)
        if result.made.error is not None:
            return self._row(run, trace, result, maker), trace
        try:
            row = self._row(run, load(folder) if trace is None else trace, result, maker)
        except TraceError as error:
            return self._row(run, None, replace(result, made=Made(error)), maker), None
        if self.options.whisper is not None and trace is not None:
            row["word_errors"] = trace.adapter.load("word_errors")(trace, self.options.whisper)
        return row, trace

    def _commit(
        self,
        there: Destination,
        maker: Maker,
        table: list[dict[str, Any]],
        traces: Sequence[tuple[str, Trace[Any]]],
        runs: Sequence[Planned],
    ) -> None:
        pa, tables = arrow(), dict[str, Any]()
        if traces:
            tables[dataset.WORDS] = pa.concat_tables(rows.words_table(*one) for one in traces)
            both = [rows.trace_tables(*one) for one in traces]
            for name, found in ((dataset.CALLS, [calls for calls, _ in both]), (dataset.DRAWS, [d for _, d in both])):
                tables[name] = pa.concat_tables(found, promote_options="permissive")
        tables[dataset.RUNS] = rows.runs_table(table, self.kinds)
        dataset.commit(there, model_name(maker), dataset.group_name(run.id for run in runs), tables)

    def _row(self, run: Planned, trace: Trace[Any] | None, result: Result, maker: Maker) -> dict[str, Any]:
        error = result.made.error
        return rows.run_row(
            run.id,
            {name: rows.cell(value, self.kinds[name]) for name, value in run.settings.items()},
            trace,
            path=None if trace is None else trace_name(run.id),
            error=None if error is None else one_line(error),
            tries=result.tries,
            device=maker.device,
            seconds=result.made.seconds,
            recordings=[digest_of(path) for path in maker.recordings(run.settings)] if error is None else [],
        )


@dataclass(frozen=True)
class Result:
    """A run that was made, or tried."""

    made: Made
    tries: int


def trace_name(run: str) -> str:
    """Of a run's trace, in the destination."""
    return f"{dataset.TRACES}/{run}{SUFFIX}"


def model_name(maker: Maker) -> str:
    """The folder of a checkpoint's tables."""
    digest = hashlib.sha256(repr(sorted(maker.checkpoint.items())).encode()).hexdigest()[:8]
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in maker.name)
    return f"{plain}-{digest}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def opened(folder: Path) -> Trace[Any] | None:
    """The trace of a run that is over; `None` if there is none that can be read."""
    try:
        return load(folder)
    except TraceError:
        return None


def is_complete(folder: Path) -> bool:
    """Whether a run was made to its end."""
    trace = opened(folder)
    return trace is not None and trace.complete


@contextmanager
def _traces(there: Destination, job: Job) -> Iterator[dict[str, Path]]:
    """Folders here for the traces of a job; of a destination elsewhere, with those that it has already.

    What could not be written elsewhere, or was left by a sweep that was killed, stays in the user's cache till it is.
    """
    if there.local is not None:
        (there.local / dataset.TRACES).mkdir(parents=True, exist_ok=True)
        yield {run.id: there.local / trace_name(run.id) for run in job.runs}
        return
    here = cache_folder() / "sweeps" / hashlib.sha256(there.url.encode()).hexdigest()[:20]
    here.mkdir(parents=True, exist_ok=True)
    folders = {run.id: here / f"{run.id}{SUFFIX}" for run in job.runs}
    for run in job.runs:
        if not is_complete(folders[run.id]) and there.read(f"{trace_name(run.id)}/manifest.json") is not None:
            shutil.rmtree(folders[run.id], ignore_errors=True)
            there.get(trace_name(run.id), folders[run.id])
    try:
        yield folders
    except Dia2Error:
        logger.warning("what could not be written waits in %s for the next sweep to that place", here)
        raise
    except BaseException:
        _remove(folders)
        raise
    _remove(folders)


def _remove(folders: Mapping[str, Path]) -> None:
    for folder in folders.values():
        if folder.exists():
            shutil.rmtree(folder)
