"""Recording a run as a trace while it is generated."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, get_args

from dia2.common.checks import short, whole
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.hooks import LEVELS, POINTS, Level, PointFilter, Span, observing, select
from dia2.inspect.record.recording import STOPPED, Recording
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.schema.adapter import Adapter, adapters
from dia2.inspect.schema.saying import describe_begin, describe_end
from dia2.inspect.store.layout import FORMAT, VERSION

logger = logging.getLogger("dia2")

SHARD_CALLS = 128
SHARD_BYTES = 32 << 20  # of logits that wait for it
SHARD_SECONDS = 5.0  # what a crash can lose at most
DEFAULT_BUDGET = 1 << 30  # bytes


def level_points(level: Level) -> frozenset[str]:
    """The points that a level records."""
    return select(lambda point: point.recorded_at(level))


def record(
    path: str | Path,
    *,
    level: Level = "topk",
    hooks: PointFilter | None = None,
    budget: int = DEFAULT_BUDGET,
    prefix_sound: bool = True,
    doctor: bool = True,
) -> RecordBlock:
    """Record the run that is made inside this block.

        with record("run.dia2trace", level="full") as recorder:
            tts.generate(script)

    Whatever ends the run (an exception, Ctrl-C, a kill), the calls up to the last shard stay readable. If the trace
    cannot be written on, a warning says so and the run goes on. A run that is refused for its inputs, or stopped while
    it loads or listens, leaves nothing behind.

    Args:
        path: a folder to create; a trace that is there is replaced, when all that is given was found good.
        level: `tokens`, `topk` (also the best candidates of each draw) or `full` (also all logits).
        hooks: narrows what the level records, see `dia2.common.hooks.select`; the tokens themselves are always kept.
        budget: bytes from which on only the tokens are kept.
        prefix_sound: keep recordings that the run goes on from with their sound; else only what it made of them: codes,
            words and loudness.
        doctor: when the block ends, also compute what the doctor needs: of Dia2, whether a prefix's words stand where
            they sound, which takes some 25 times what its warm-up took (0.3 s for 8 s of prefix with the embedded
            checkpoint on one core).

    Raises:
        UsageError: when the block begins: a filter that matches nothing, an unknown level, a path that cannot be
            written, or a block that has recorded already.
    """
    options: dict[str, Any] = {"level": level, "hooks": hooks, "budget": budget}
    return RecordBlock(path, partial(Recorder, path, **options, prefix_sound=prefix_sound, doctor=doctor))


class RecordBlock(AbstractContextManager["Recorder"]):
    """What `record` returns."""

    def __init__(self, path: str | Path, begin: Callable[[], Recorder]) -> None:
        self.path = path  # the trace's folder
        self._begin = begin
        self._run: AbstractContextManager[Recorder] | None = None

    def __enter__(self) -> Recorder:
        """Look on from here.

        Raises:
            UsageError: see `record`.
        """
        if self._run is not None:
            raise UsageError(f"This record({short(str(self.path))}) has recorded already: make another one.")
        self._run = _recorded(self._begin())
        return self._run.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        """The run is over."""
        assert self._run is not None, "a block ends once it has begun"
        return self._run.__exit__(*error)


@contextmanager
def _recorded(recorder: Recorder) -> Iterator[Recorder]:
    try:
        with observing(recorder):
            yield recorder
    except (Dia2Error, KeyboardInterrupt) as error:
        if recorder.begun and isinstance(error, KeyboardInterrupt):
            recorder.close("interrupted", STOPPED)
        elif recorder.begun:
            recorder.close("failed", _told(error))
        else:
            recorder.leave()
        raise
    except BaseException as error:  # a fault, of which the phases tell where
        recorder.close("failed", _told(error))
        raise
    recorder.examine()
    recorder.close("complete")


class Recorder:
    """The observer that writes a trace; made by `record`.

    What runs is known when the first phase of a model family begins; its `Recording` knows what is that family's own.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        level: Level = "topk",
        hooks: PointFilter | None = None,
        budget: int = DEFAULT_BUDGET,
        prefix_sound: bool = True,
        doctor: bool = True,
    ) -> None:
        if level not in get_args(Level):
            raise UsageError(f"There is no trace level {short(level)}: choose {', '.join(LEVELS)}.")
        bytes_ = whole(budget)
        if bytes_ is None or bytes_ < 0:
            raise UsageError(f"A trace's budget must be a number of bytes, 0 or more, not {short(budget)}.")
        budget = bytes_
        self._filter = hooks
        self._level = level
        self._selected = self._select()
        # Until it is known which family runs, what any of them needs.
        self.points = self._selected.union(*(adapter.needed | {adapter.begins} for adapter in adapters().values()))
        self._budget = budget
        self._doctor = doctor  # the run is to be examined yet
        self._began = time.perf_counter()
        self._open: list[int | None] = []  # ids of phases that run, outermost first
        self._ids = 0
        self._held: list[Any] = []  # finished calls of the next shard
        self._calls = 0  # recorded, those of the next shard included
        self._shard_began = self._began
        self._adapter: Adapter | None = None  # of the family that runs
        self._of: Recording | None = None
        self._closed = False  # a stream can outlive its recorder
        self._sink = TraceSink(
            path,
            {
                "format": FORMAT,
                "version": VERSION,
                "family": None,
                "status": "running",
                "error": None,
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": _versions(),
                "level": level,
                "hooks": None if hooks is None else _patterns(hooks),
                "draws": [],
                "never_fired": [],
                "budget": {"bytes": budget, "tokens_only_from_call": None},
                "calls": 0,
                "run": None,
                "result": None,
                "audio": None,
            },
            prefix_sound=prefix_sound,
        )

    @property
    def begun(self) -> bool:
        """There is a trace: a run's inputs were found good."""
        return self._sink.writer.begun

    @property
    def path(self) -> Path:
        """The trace's folder."""
        return self._sink.writer.path

    def _select(self, codebooks: int | None = None) -> frozenset[str]:
        points = level_points(self._level)
        if codebooks is not None:
            points &= select("*", codebooks)
        if self._filter is None:
            return points
        wanted = select(self._filter) if codebooks is None else select(self._filter, codebooks)
        if not points & wanted:
            raise UsageError(
                f"The level {self._level} records nothing of the hook filter: choose a higher --trace-level."
            )
        return points & wanted

    def recording(self, family: str) -> Recording:
        """What knows the family that runs.

        Raises:
            UsageError: another one runs already.
        """
        adapter = adapters()[family]
        if self._of is None or self._adapter is None:
            self._adapter = adapter
            self._of = adapter.load("recording")(self._sink)
            self._sink.manifest["family"] = family
            self._narrow()
        if self._adapter.family != family:
            raise UsageError(
                f"Trace {self.path} records {self._adapter.title}: record a run of {adapter.title} to a trace of "
                "its own."
            )
        return self._of

    def _narrow(self, codebooks: int | None = None) -> None:
        """Record only points of the family that runs, once it is known, and of its codebooks or channels."""
        assert self._adapter is not None, "whose points would it be?"
        self._selected = self._select(codebooks) & select("*", model=self._adapter.family)
        beginnings = {adapter.begins for adapter in adapters().values()}  # at which a run of another one is refused
        self.points = self._selected | self._adapter.needed | beginnings
        if not self._selected and codebooks is None:
            logger.warning(
                "the hook filter names points of another model than %s, which runs: its trace keeps tokens only",
                self._adapter.title,
            )

    # Phases

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""
        if self._closed:
            return
        recording = self.recording(POINTS[span.name].models[0])
        self._ids += 1
        span.notes["id"] = self._ids
        if self._adapter is not None and span.name == self._adapter.begins:
            self._begin_run(recording, span)
        if span.name in self._selected:
            recording.note(span)
            said = describe_begin(span, recording.say)
            event = {"event": "begin", "id": self._ids, "phase": span.name, "at": round(span.began - self._began, 6)}
            parent = self._open[-1] if self._open else None
            event |= {"parent": parent, "trigger": said.trigger, "before": said.before}
            self._sink.phase(event)
            self._sink.fired.add(span.name)
            self._open.append(self._ids)
        else:
            self._open.append(self._open[-1] if self._open else None)  # nearest phase that is in the file

    def end(self, span: Span, /) -> None:
        """See `Observer`."""
        if self._closed or not self._open or self._of is None:  # it began before this recorder did
            return
        self._open.pop()
        if span.error is None:
            self._of.learn(span)
        if span.name not in self._selected:
            return
        event: dict[str, Any] = {"event": "end", "id": span.notes["id"], "seconds": round(span.seconds, 6)}
        if span.error is None:
            said = describe_end(span, self._of.say)
            event |= {"mutations": said.mutations, "outputs": said.outputs, "error": None}
        else:
            event |= {"error": _told(span.error)}
        self._sink.phase(event)

    def happened(self, span: Span) -> None:
        """Take in a phase that was over before this recorder existed: parsing the command line."""
        if span.name in self.points:
            self.begin(span)
            self.end(span)

    def _begin_run(self, recording: Recording, span: Span) -> None:
        if self._sink.manifest["run"] is not None:
            raise UsageError(f"Trace {self.path} holds a run already: record every run to a trace of its own.")
        self._narrow(recording.codebooks(span))
        recording.begin_run(span, self._selected)
        self._sink.save()

    # Finished calls

    def frames(self, frames: Any, /) -> None:
        """See `Observer`."""
        if self._closed:
            return
        recording, sink = self._of, self._sink
        assert recording is not None, "calls come after the phase in which their run begins"
        first, count = recording.first(frames), recording.count(frames)
        if first < self._calls:  # handed over once more, as Ctrl-C fell into the first time
            return
        if first > self._calls and sink.broken is None:  # nothing may be written behind a gap
            self._write_shard()
            sink.broken = sink.broken or f"calls {self._calls} to {first - 1} were lost, as Ctrl-C came during them"
            count = first + count - self._calls
        recording.take(frames)
        if sink.broken is not None:
            self._calls += count
            return
        if self._held and recording.kind(frames) != recording.kind(self._held[0]):
            self._write_shard()  # which holds one phase and one config
        self._held, self._calls = [*self._held, recording.copied(frames)], self._calls + count
        held = sum(map(recording.count, self._held))
        if (
            held >= SHARD_CALLS
            or held * recording.held_bytes(self._held[-1]) >= SHARD_BYTES
            or time.perf_counter() - self._shard_began >= SHARD_SECONDS
        ):
            self._write_shard()

    def _write_shard(self) -> None:
        """Turn what is held into columns, all of it at once: many small tensor operations cost more than few."""
        recording, sink = self._of, self._sink
        if self._held and recording is not None:
            if recording.refresh():
                sink.save()
            sink.attempt(sink.writer.shard, self._columns(recording))
            # Both or `None`: Ctrl-C in the line above leaves what is held, and the shard is written over.
            sink.writer.shards, self._held, sink.stored = sink.writer.shards + 1, [], self._calls
        self._shard_began = time.perf_counter()

    def _columns(self, recording: Recording) -> Any:
        """What the level, the filter and the budget leave of finished calls."""
        budget = self._sink.manifest["budget"]
        over = self._sink.writer.bytes > self._budget
        if over and recording.draws and budget["tokens_only_from_call"] is None:
            first = recording.first(self._held[0])
            budget["tokens_only_from_call"] = first
            logger.warning("the trace has reached its budget: from call %d on it keeps tokens only", first)
        return recording.columns(self._held, draws=not over, logits=not over and self._level == "full")

    def __reduce__(self) -> NoReturn:
        """It holds an open trace."""
        raise UsageError(
            "A recorder cannot be copied or pickled, as it is writing a trace: copy the Dia2, and record its runs by "
            "recorders of their own."
        )

    def examine(self) -> None:
        """Compute what the doctor needs, now that the run is over; once, at the latest when its block ends.

        Ctrl-C leaves it out.
        """
        doctor, self._doctor = self._doctor, False
        if not doctor or self._closed or self._of is None or self._sink.broken is not None:
            return
        try:
            self._of.examine()
        except KeyboardInterrupt:
            logger.warning("interrupted: the trace is whole, but for what the doctor would have found")

    def close(self, status: str, error: str | None = None) -> None:
        """Write what is left; called once, by `record`."""
        from dia2.core.ambient import isolated  # brings torch, which whoever ran has

        with isolated():  # a run may end anywhere
            try:
                self._sink.begin()
                self._write_shard()
                self._end(status, error)
            finally:
                self.leave()

    def leave(self) -> None:
        """Write no more, and let another run be recorded there; of a run that never began, nothing is left."""
        self._closed, self._of = True, None  # which may hold a checkpoint
        self._sink.writer.close()

    def _end(self, status: str, error: str | None) -> None:
        """Say in the manifest how the run ended."""
        sink, recording = self._sink, self._of
        if status == "complete" and (recording is None or sink.manifest["run"] is None):
            status, error = "failed", "nothing was generated"
        elif status == "complete" and recording is not None and (why := recording.cut_short()) is not None:
            status, error = "interrupted", why
        if sink.broken is not None:
            status, error = "failed", sink.broken
        sink.manifest |= {"status": status, "error": error, "calls": self._calls}
        sink.manifest["never_fired"] = sorted(self._selected - sink.fired)
        if recording is not None:
            recording.refresh()  # streamed text came later
        sink.save()


def _versions() -> dict[str, str]:
    """Of dia2, Python, and the libraries that numbers depend on."""
    import dia2

    libraries = {name: version(name) for name in ("torch", "transformers", "safetensors", "numpy")}
    return libraries | {"dia2": dia2.__version__, "python": platform.python_version()}


def _patterns(spec: PointFilter) -> str | list[str]:
    """A hook filter as a manifest keeps it: a list of globs."""
    if callable(spec):
        return "a predicate"
    return spec.split(",") if isinstance(spec, str) else [str(pattern) for pattern in spec]


def _told(error: BaseException) -> str:
    """An error, as a manifest keeps it."""
    return f"{type(error).__name__}: {one_line(error)}"
