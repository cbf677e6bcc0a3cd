"""Recording a run as a trace while it is generated."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from dia2.checks import short
from dia2.errors import Dia2Error, UsageError, one_line
from dia2.generation import GenerationConfig
from dia2.hooks import Frames, MachineRow, PointFilter, Span, observing, select
from dia2.inspect.columns import copied, frame_columns, held_bytes, merged
from dia2.inspect.describe import describe_begin, describe_end
from dia2.inspect.draws import draw_names
from dia2.inspect.facts import patterns, prefix_columns, run_facts, versions
from dia2.inspect.layout import AUDIO_FILE, FORMAT, LEFT_OUT, LEVELS, VERSION, Level
from dia2.inspect.loudness import loudness
from dia2.inspect.writer import TraceWriter
from dia2.runtime.choices import Choices
from dia2.runtime.context import RuntimeContext
from dia2.runtime.guidance import special_codes
from dia2.runtime.state_machine import Entry
from dia2.runtime.voice_clone import PrefixPlan
from dia2.runtime.voice_file import Voice

logger = logging.getLogger("dia2")

SHARD_CALLS = 128
SHARD_BYTES = 32 << 20  # of logits that wait for it
SHARD_SECONDS = 5.0  # what a crash can lose at most
DEFAULT_BUDGET = 1 << 30  # bytes
# Without these a trace would not know its own run; a filter cannot leave them out.
_NEEDED = frozenset(
    {
        "script.normalize",
        "prefix.voice",
        "prefix.words",
        "entries.combine",
        "state.build",
        "loop",
        "grid.crop",
        "codec.decode",
        "words.place",
        "step_tokens",
    }
)


def level_points(level: Level) -> frozenset[str]:
    """The points that a level records."""
    return frozenset(name for name in select("*") if not name.startswith(LEFT_OUT[level]))


@contextmanager
def record(
    path: str | Path, *, level: Level = "topk", hooks: PointFilter | None = None, budget: int = DEFAULT_BUDGET
) -> Iterator[Recorder]:
    """Record the run that is made inside this block.

        with record("run.dia2trace", level="full") as recorder:
            tts.generate(script)

    Whatever ends the run (an exception, Ctrl-C, a kill), the calls up to the last shard stay readable. If the trace
    cannot be written on, a warning says so and the run goes on.

    Args:
        path: a folder to create; a trace that is there is replaced.
        level: `tokens`, `topk` (also the best candidates of each draw) or `full` (also all logits).
        hooks: narrows what the level records, see `dia2.hooks.select`; the tokens themselves are always kept.
        budget: bytes from which on only the tokens are kept.

    Raises:
        UsageError: a filter that matches nothing, an unknown level, or a path that cannot be written.
    """
    recorder = Recorder(path, level=level, hooks=hooks, budget=budget)
    try:
        with observing(recorder):
            yield recorder
    except KeyboardInterrupt:
        recorder.close("interrupted", "interrupted by the user")
        raise
    except BaseException as error:
        recorder.close("failed", f"{type(error).__name__}: {one_line(error)}")
        raise
    recorder.close("complete")


class Recorder:
    """The observer that writes a trace; made by `record`."""

    def __init__(
        self, path: str | Path, *, level: Level = "topk", hooks: PointFilter | None = None, budget: int = DEFAULT_BUDGET
    ) -> None:
        if level not in get_args(Level):
            raise UsageError(f"There is no trace level {short(level)}: choose {', '.join(LEVELS)}.")
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 0:
            raise UsageError(f"A trace's budget is a number of bytes from 0, not {short(budget)}.")
        self._filter = hooks
        self._level = level
        self._selected = self._select()
        self.points = self._selected | _NEEDED
        self._budget = budget
        self._writer = TraceWriter(path)
        self._began = time.perf_counter()
        self._open: list[int | None] = []  # ids of phases that run, outermost first
        self._ids = 0
        self._fired: set[str] = set()
        self._broken: str | None = None  # why nothing is written any more
        self._held: list[Frames] = []  # of the next shard
        self._calls = 0  # recorded, those of the next shard included
        self._shard_began = self._began
        self._entries: list[Entry] = []
        self._specials = torch.zeros(0)
        self._names: list[str] = []  # of the draws that are recorded
        self._spoken: list[dict[str, Any]] = []  # prefix words with their times
        self._loudness: list[tuple[Tensor, Tensor]] = []  # per prefix voice; NaN without a waveform
        self._stop: str | None = None
        self._last: tuple[MachineRow, int] | None = None  # state after the last call seen of the main loop; its number
        self._closed = False  # a stream can outlive its recorder
        self._manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "status": "running",
            "error": None,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "level": level,
            "hooks": None if hooks is None else "a predicate" if callable(hooks) else patterns(hooks),
            "draws": [],
            "never_fired": [],
            "budget": {"bytes": budget, "tokens_only_from_call": None},
            "calls": 0,
            "script": None,
            "run": None,
            "result": None,
            "audio": None,
        }
        self._write_manifest(must=True)

    @property
    def path(self) -> Path:
        """The trace's folder."""
        return self._writer.path

    @property
    def entries(self) -> list[Entry]:
        """Of the run, prefix first; those of streamed text come while it goes on."""
        return self._entries

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

    # Phases

    def begin(self, span: Span, /) -> None:
        """See `Observer`."""
        if self._closed:
            return
        self._ids += 1
        span.notes["id"] = self._ids
        if span.name == "state.build":
            self._begin_run(span)
        if span.name in self._selected:
            said = describe_begin(span)
            event = {"event": "begin", "id": self._ids, "phase": span.name, "at": round(span.began - self._began, 6)}
            parent = self._open[-1] if self._open else None
            self._try(self._writer.phase, event | {"parent": parent, "trigger": said.trigger, "before": said.before})
            self._fired.add(span.name)
            self._open.append(self._ids)
        else:
            self._open.append(self._open[-1] if self._open else None)  # nearest phase that is in the file

    def end(self, span: Span, /) -> None:
        """See `Observer`."""
        if self._closed or not self._open:  # it began before this recorder did
            return
        self._open.pop()
        if span.error is None:
            self._learn(span)
        if span.name not in self._selected:
            return
        event: dict[str, Any] = {"event": "end", "id": span.notes["id"], "seconds": round(span.seconds, 6)}
        if span.error is None:
            said = describe_end(span)
            event |= {"mutations": said.mutations, "outputs": said.outputs, "error": None}
        else:
            event |= {"error": f"{type(span.error).__name__}: {one_line(span.error)}"}
        self._try(self._writer.phase, event)

    def happened(self, span: Span) -> None:
        """Take in a phase that was over before this recorder existed: parsing the command line."""
        if span.name in self.points:
            self.begin(span)
            self.end(span)

    def inherit(self, script: str | None, spoken: list[dict[str, Any]], voices: list[tuple[Tensor, Tensor]]) -> None:
        """What a fork does not go through again, from the trace that it comes from.

        Args:
            script: its text.
            spoken: the prefix's words with their times.
            voices: RMS and peak [frames] of each prefix recording.
        """
        self._manifest["script"] = script
        self._spoken, self._loudness = spoken, list(voices)

    def _learn(self, span: Span) -> None:
        """Keep what the manifest will say."""
        result: Any = span.result
        if self._manifest["run"] is not None and span.name.startswith(("script.", "prefix.", "entries.")):
            return  # of a second run, which is refused when it gets to its state
        if span.name == "script.normalize":
            self._manifest["script"] = result
        elif span.name == "prefix.voice":
            voiced: Any = span.inputs["runtime"]
            self._loudness.append(_loudness(result, voiced.mimi.sample_rate / voiced.mimi.frame_rate))
        elif span.name == "prefix.words":
            words: Any = span.inputs["words"]
            speaker = span.inputs["speaker"]
            self._spoken += [
                {"text": word.text, "start": word.start, "end": word.end, "speaker": speaker} for word in words
            ]
        elif span.name == "entries.combine":
            self._entries = result
        elif span.name == "loop":
            self._stop = result.stop_reason
            found = {"stop_reason": result.stop_reason, "first_word_frame": result.first_word_frame}
            self._result(**found, columns=result.grid.shape[2])
        elif span.name == "grid.crop":
            self._result(crop=result)
        elif span.name == "codec.decode":
            runtime: Any = span.inputs["runtime"]
            self._result(samples=len(result))
            if len(result) and self._try(self._writer.audio, result, runtime.mimi.sample_rate):
                self._manifest["audio"] = AUDIO_FILE
        elif span.name == "words.place":
            self._result(timestamps=[[word.text, word.seconds, word.speaker] for word in result])

    def _result(self, **found: Any) -> None:
        self._manifest["result"] = (self._manifest["result"] or {}) | found

    def _begin_run(self, span: Span) -> None:
        if self._manifest["run"] is not None:
            raise UsageError(f"Trace {self.path} holds a run already: record every run to a trace of its own.")
        runtime, config, plan = span.inputs["runtime"], span.inputs["config"], span.inputs["prefix"]
        choices = span.inputs["choices"]
        assert isinstance(runtime, RuntimeContext), "the first parameter of state.build"
        assert isinstance(config, GenerationConfig), "its second"
        assert plan is None or isinstance(plan, PrefixPlan), "its fourth"
        assert choices is None or isinstance(choices, Choices), "its fifth"
        data = runtime.config.data
        self._selected = self._select(data.num_codebooks)
        self.points = self._selected | _NEEDED
        self._names = [name for name in draw_names(data.num_codebooks) if f"draw.{name}" in self._selected]
        self._specials = special_codes(runtime.constants, data.audio_vocab_size)
        self._writer.wide = data.audio_vocab_size > 2**15
        self._manifest["draws"] = self._names
        self._manifest["run"] = run_facts(runtime, config, span.inputs["seed"], plan, choices) | {
            "voice_frames": [len(rms) for rms, _ in self._loudness],
            "spoken": self._spoken,
            "entries": self._entry_rows(),
        }
        if plan is not None:
            self._try(self._writer.prefix, prefix_columns(plan, self._loudness))
        self._write_manifest()

    def _entry_rows(self) -> list[list[Any]]:
        return [[entry.text, entry.tokens, entry.padding, entry.speaker] for entry in self._entries]

    # Frames

    def frames(self, frames: Frames, /) -> None:
        """See `Observer`."""
        first, count = frames.calls[0].call, len(frames.calls)
        if self._closed or first < self._calls:  # handed over once more, as Ctrl-C fell into the first time
            return
        if first > self._calls and self._broken is None:  # nothing may be written behind a gap
            self._broken = f"calls {self._calls} to {first - 1} were lost, as Ctrl-C fell into them"
            count = frames.calls[-1].call + 1 - self._calls
        if frames.codes is not None:
            self._last = frames.machine[-1], frames.calls[-1].call
        if self._broken is not None:
            self._calls += count
            return
        kind = (frames.codes is None, frames.config)
        if self._held and kind != (self._held[0].codes is None, self._held[0].config):
            self._write_shard()  # which holds one phase and one config
        self._held, self._calls = [*self._held, copied(frames)], self._calls + count
        held = sum(len(part.calls) for part in self._held)
        if (
            held >= SHARD_CALLS
            or held * held_bytes(self._held[-1]) >= SHARD_BYTES
            or time.perf_counter() - self._shard_began >= SHARD_SECONDS
        ):
            self._write_shard()

    def _wanted_logits(self, frames: Frames) -> dict[str, Tensor]:
        return {
            name: value
            for name, value in frames.logits.items()
            if any(point.startswith(f"logits.{name}") for point in self._selected)
        }

    def _logit_points(self, logits: dict[str, Tensor]) -> set[str]:
        names = {f"logits.{name}" for name in logits if name != "dep"}
        if "dep" in logits:
            names |= {f"logits.dep.{k + 1}" for k in range(logits["dep"].shape[1])}
        return names

    def _write_shard(self) -> None:
        """Turn what is held into columns, all of it at once: many small tensor operations cost more than few."""
        if self._held:
            run = self._manifest["run"]
            if len(run["entries"]) < len(self._entries):  # streamed text: no call may take an entry that is not there
                run["entries"] = self._entry_rows()
                self._write_manifest()
            self._try(self._writer.shard, self._columns(merged(self._held)))
            # Both or none: Ctrl-C in the line above leaves what is held, and the shard is written over.
            self._writer.shards, self._held = self._writer.shards + 1, []
        self._shard_began = time.perf_counter()

    def _columns(self, frames: Frames) -> dict[str, Tensor]:
        """What the level, the filter and the budget leave of finished calls."""
        first = frames.calls[0].call
        over = self._writer.bytes > self._budget
        if over and self._names and self._manifest["budget"]["tokens_only_from_call"] is None:
            self._manifest["budget"]["tokens_only_from_call"] = first
            logger.warning("the trace has reached its budget: from call %d on it keeps tokens only", first)
        draws = [] if over or frames.codes is None else self._names
        logits = {} if over or self._level != "full" else self._wanted_logits(frames)
        self._fired |= _FRAME_POINTS
        if frames.codes is not None:
            self._fired |= _MAIN_POINTS | {f"draw.{name}" for name in draws} | self._logit_points(logits)
        return frame_columns(frames, draws, self._specials, logits)

    def close(self, status: str, error: str | None = None) -> None:
        """Write what is left; called once, by `record`."""
        self._write_shard()
        if status == "complete" and self._manifest["run"] is None:
            status, error = "failed", "nothing was generated"
        elif status == "complete" and self._stop == "interrupted":
            status, error = "interrupted", "interrupted by the user"
        elif status == "complete" and self._stop is None and not self._streamed_to_its_end():
            status, error = "interrupted", "the run was left before its end"
        if self._broken is not None:
            status, error = "failed", self._broken
        self._manifest |= {"status": status, "error": error, "calls": self._calls}
        self._manifest["never_fired"] = sorted(self._selected - self._fired)
        if self._manifest["run"] is not None:
            self._manifest["run"]["entries"] = self._entry_rows()  # streamed text came later
        self._write_manifest()
        self._writer.close()
        self._closed = True

    def _streamed_to_its_end(self) -> bool:
        """The end that the main loop comes to by itself: after the last word, or with the last step of the context."""
        if self._last is None:
            return False
        row, call = self._last
        model = self._manifest["run"]["model"]
        if call + 1 == self._manifest["run"]["prefix_frames"] + model["max_context_steps"]:
            return True
        return row.end_step is not None and row.step >= row.end_step + max(model["delays"]) + model["max_padding"] - 1

    # Writing

    def _write_manifest(self, *, must: bool = False) -> None:
        if must:
            self._writer.manifest(self._manifest)
        else:
            self._try(self._writer.manifest, self._manifest)

    def _try(self, write: Any, *values: Any) -> bool:
        """Write, or note that this trace has ended here; the run itself must not suffer."""
        if self._broken is not None and write != self._writer.manifest:
            return False
        try:
            write(*values)
        except Dia2Error as error:
            if self._broken is None:
                calls = self._calls - sum(len(part.calls) for part in self._held)
                logger.warning("the trace ends at call %d: %s The run goes on.", calls, error)
            self._broken = str(error)
            return False
        return True


def _loudness(voice: Voice, samples_per_frame: float) -> tuple[Tensor, Tensor]:
    frames = voice.codes.shape[1]
    if voice.samples is not None:
        return loudness(voice.samples, samples_per_frame, frames)
    unknown = torch.full((frames,), torch.nan)
    return unknown, unknown


_FRAME_POINTS = frozenset(
    {
        "call",
        "machine.before",
        "machine.after",
        "step_tokens",
        "kv.transformer.length",
        "kv.depformer.length",
    }
)
_MAIN_POINTS = frozenset({"audio_buf.column", "time.first", "time.machine", "time.second", "time.frame"})
