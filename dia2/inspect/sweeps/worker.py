"""Making a group of runs, and writing what came out: the same by every engine."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia2.common.errors import Dia2Error, TraceError, one_line
from dia2.common.hashing import hash_path
from dia2.common.kept import cache_folder
from dia2.common.stopping import Stopping
from dia2.inspect.schema.maker import Made, Maker, MakingStopped, Recorded
from dia2.inspect.store.layout import MANIFEST, SUFFIX
from dia2.inspect.sweeps import dataset, rows
from dia2.inspect.sweeps.dataset import trace_name
from dia2.inspect.sweeps.destination import Destination
from dia2.inspect.sweeps.plan import CHECKPOINT, Planned, RunOptions, open_maker
from dia2.inspect.trace.load import load
from dia2.inspect.trace.tables import arrow
from dia2.inspect.trace.trace import Trace

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("dia2")

TRIES = 2  # of a run that fails


@dataclass(frozen=True)
class Job:
    """Runs that one engine makes at a time, all of one checkpoint."""

    runs: tuple[Planned, ...]
    died: int = 0  # how often the process that made it ended without a word, of a job of one run

    def again(self) -> list[Job]:
        """How its runs are tried again when a process has died of one: in halves, and of a run alone once more."""
        middle = len(self.runs) // 2
        if middle:
            return [Job(self.runs[:middle]), Job(self.runs[middle:])]
        return [Job(self.runs, self.died + 1)] if self.died + 1 < TRIES else []


@dataclass(frozen=True)
class Done:
    """A run that is in the dataset."""

    run: str
    error: str | None  # why it failed


@dataclass(frozen=True)
class _Ready:
    """What is to be written of a run."""

    row: dict[str, Any]  # of `runs`
    tables: dict[str, pa.Table] | None = None  # of the others; `None`: it failed


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
    busy: Maker | None = None  # whose checkpoint is loaded

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs."""
        return self.__dict__ | {"makers": None, "there": None, "tell": bool, "busy": None}

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
        there, maker = self._there(), self.open()[job.runs[0].model]
        if self.busy is not None and self.busy is not maker:
            self.busy.close()
        self.busy = maker
        with _traces(there, job) as folders, Stopping() as stopping:
            ready = self._found(job, folders, maker)
            for tries in range(1, TRIES + 1):
                missing = [run for run in job.runs if run.id not in ready]
                if stopping.asked or not missing:
                    break
                for run, made in zip(missing, self._made(missing, folders, maker, stopping), strict=True):
                    if made is None:  # it was stopped
                        continue
                    one = self._ready(run, folders[run.id], made, tries, maker)
                    if one.tables is not None or tries == TRIES:
                        ready[run.id] = one
            done = self._write([(run, ready[run.id]) for run in job.runs if run.id in ready], folders, maker)
            if stopping.asked:
                raise KeyboardInterrupt
            return done

    def give_up(self, run: Planned, why: str, tries: int) -> Done:
        """Note a run that failed without having been made."""
        maker = self.open()[run.model]
        row = self._row(run, None, Made(Dia2Error(why)), tries, maker)
        self._commit(maker, [(run, _Ready(row))])
        return Done(run.id, why)

    def _there(self) -> Destination:
        self.there = self.there or Destination(self.url)
        return self.there

    def _found(self, job: Job, folders: Mapping[str, Path], maker: Maker) -> dict[str, _Ready]:
        """Runs that were recorded before, to their end; one whose trace is damaged is made anew."""
        found = {}
        for run in job.runs:
            if is_complete(folders[run.id]):
                one = self._ready(run, folders[run.id], Made(None), 1, maker)
                if one.tables is not None:
                    found[run.id] = one
        return found

    def _made(
        self, runs: Sequence[Planned], folders: Mapping[str, Path], maker: Maker, stopping: Stopping
    ) -> Sequence[Made | None]:
        """Make runs; `None` for those that Ctrl-C has kept from coming to their end."""
        asked = [(run.given, Recorded(folders[run.id], self.options.level)) for run in runs]
        try:
            with stopping.at_once():
                return maker.make(asked, self.options.rows, self.tell)
        except MakingStopped as stopped:
            stopping.asked = True
            return stopped.made

    def _ready(self, run: Planned, folder: Path, made: Made, tries: int, maker: Maker) -> _Ready:
        """What is to be written of a run that is over; whatever is wrong with its trace, it is this run's alone."""
        trace, error = None, made.error
        try:
            trace = load(folder)
            if error is None:
                row, tables = self._row(run, trace, made, tries, maker), rows.trace_tables(run.id, trace)
                if self.options.whisper is not None:
                    row["word_errors"] = trace.adapter.load("word_errors")(trace, self.options.whisper)
                return _Ready(row, tables)
        except TraceError as broken:
            error = error or broken
        except Exception as fault:  # noqa: BLE001
            error = fault
        return _Ready(self._row(run, trace, Made(error), tries, maker))

    def _write(self, runs: Sequence[tuple[Planned, _Ready]], folders: Mapping[str, Path], maker: Maker) -> list[Done]:
        there = self._there()
        if there.local is None:
            for run, _ in runs:
                there.put(folders[run.id], trace_name(run.id))
        good = [(run, one) for run, one in runs if one.tables is not None]
        if good:
            self._commit(maker, good)
        for run, one in runs:
            if one.tables is None:  # in a group of its own, which is gone when it is made anew
                self._commit(maker, [(run, one)])
        return [Done(run.id, one.row["error"]) for run, one in runs]

    def _commit(self, maker: Maker, runs: Sequence[tuple[Planned, _Ready]]) -> None:
        pa, tables = arrow(), dict[str, Any]()
        for name in (dataset.WORDS, dataset.CALLS, dataset.DRAWS):
            found = [one.tables[name] for _, one in runs if one.tables is not None]
            if found:
                tables[name] = pa.concat_tables(found, promote_options="permissive")
        tables[dataset.RUNS] = rows.runs_table([one.row for _, one in runs], self.kinds)
        dataset.commit(self._there(), model_name(maker), dataset.group_name(run.id for run, _ in runs), tables)

    def _row(self, run: Planned, trace: Trace[Any] | None, made: Made, tries: int, maker: Maker) -> dict[str, Any]:
        described = maker.described(run.given)
        # Lists and tables, such as edits, as the family tells them: a plan's can hold numbers by the thousand.
        long = {name for name, value in run.settings.items() if value and isinstance(value, list | Mapping)}
        settings = {CHECKPOINT: maker.name, **described, **run.settings}
        settings |= {name: described[name] for name in long & described.keys()}
        return rows.run_row(
            run.id,
            {name: rows.cell(value, self.kinds[name]) for name, value in settings.items()},
            trace,
            path=None if trace is None else trace_name(run.id),
            error=None if made.error is None else one_line(made.error),
            tries=tries,
            device=maker.device,
            seconds=made.seconds,
            recordings=[digest for path in maker.recordings(run.given) if (digest := hash_path(path))],
        )


def model_name(maker: Maker) -> str:
    """The folder of a checkpoint's tables."""
    digest = hashlib.sha256(repr(sorted(maker.checkpoint.items())).encode()).hexdigest()[:8]
    plain = "".join(char if char.isalnum() or char in "-_." else "-" for char in maker.name)
    return f"{plain}-{digest}"


def is_complete(folder: Path) -> bool:
    """Whether a run was made to its end."""
    try:
        return load(folder).complete
    except TraceError:
        return False


@contextmanager
def _traces(there: Destination, job: Job) -> Iterator[dict[str, Path]]:
    """Folders here for the traces of a job; of a destination elsewhere, with those that it has already.

    What could not be written elsewhere, or was left by a sweep that was killed, stays in the user's cache till it is.
    """
    if there.local is not None:
        folder = there.local / dataset.TRACES
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Dia2Error(f"{folder} cannot be made ({error.strerror}): write elsewhere.") from error
        yield {run.id: there.local / trace_name(run.id) for run in job.runs}
        return
    here = cache_folder() / "sweeps" / hashlib.sha256(there.url.encode()).hexdigest()[:20]
    here.mkdir(parents=True, exist_ok=True)
    folders = {run.id: here / f"{run.id}{SUFFIX}" for run in job.runs}
    for run in job.runs:
        if not is_complete(folders[run.id]) and there.read(f"{trace_name(run.id)}/{MANIFEST}") is not None:
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
