"""`Trace`: a recorded run, as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from inspect import unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch

from dia2.assets import nano_folder
from dia2.audio.grid import delay_frames, undelay_frames
from dia2.checks import counted_from_0, is_folder
from dia2.core.ambient import isolated
from dia2.edits import config_at
from dia2.errors import TraceError
from dia2.generation import GenerationConfig
from dia2.hooks import MachineRow
from dia2.inspect.draws import Draw, draw_codebook, stored_draws
from dia2.inspect.extras import notebook_extra
from dia2.inspect.frame import Frame, FrameSeconds, TraceWord
from dia2.inspect.layout import LAYOUT
from dia2.inspect.manifest import Manifest, ModelFacts, RunFacts, family_of, read_manifest, read_raw_manifest
from dia2.inspect.phases import read_phases
from dia2.inspect.search import bare, changes_or_hits
from dia2.inspect.shards import open_shards, read_tokens, sizes_of
from dia2.inspect.sound import Prefix, read_audio, read_prefix
from dia2.inspect.stored import Stored
from dia2.inspect.watch import before_first
from dia2.runtime.sounding import asked_at, sounds_at
from dia2.runtime.state_machine import Entry
from dia2.wording import counted

if TYPE_CHECKING:
    from dia2.engine import Dia2
    from dia2.generation import GenerationResult
    from dia2.inspect.diff import Diff
    from dia2.inspect.doctor import Diagnosis
    from dia2.inspect.explorer.widget import Explorer
    from dia2.inspect.lab import Lab
    from dia2.inspect.pipeline import FilledRow
    from dia2.inspect.replay import Replay


undelay = unwrap(undelay_frames)  # looking at a trace is no phase of the run that may be recorded meanwhile


def load(path: str | Path) -> Any:
    """Open a trace. Nothing in it is executed; draws, logits and audio are read when they are asked for.

    Returns:
        A `Trace` of a run of Dia2, a `dia2.inspect.dia.trace.DiaTrace` of one of Dia.

    Raises:
        TraceError: there is no trace, it is damaged, or it is of a newer version.
    """
    path = Path(path)
    if not is_folder(path):
        return Trace(path)  # which says so
    raw = read_raw_manifest(path)
    if family_of(raw, path) == "dia":
        from dia2.inspect.dia.trace import DiaTrace  # brings the package dia

        return DiaTrace(path, raw)
    return Trace(path, raw)


def sample() -> Trace:
    """A run of the embedded checkpoint that is recorded already: a short dialogue, with its sound."""
    return Trace(nano_folder() / "sample.dia2trace")


class Trace(Stored):
    """A recorded run of Dia2; made by `load`.

    Columns have one value per call, in the order of calls, warm-up first.
    """

    family = "dia2"
    layout = LAYOUT

    def __init__(self, path: Path, raw: dict[str, Any] | None = None) -> None:
        """See `load`; `raw` is the manifest, if it has been read."""
        super().__init__(path)
        self.manifest: Manifest = read_manifest(path, raw)
        self.phases = read_phases(path)
        if self.manifest.run is not None:
            self._shards = open_shards(path, LAYOUT, sizes_of(self.model, len(self.manifest.draws)))
            self._columns = read_tokens(self._shards, self.model, path)
            self._check_entries()

    def _check_entries(self) -> None:
        if int(self._columns["consumed"].sum()) > len(self.run.entries):
            raise TraceError(f"{self.path} is damaged: more entries are taken than there are.")
        warmup, prefix = self.warmup_calls, self.run.prefix_frames
        if warmup > prefix or (warmup < len(self) and warmup < prefix):  # a run can end in its warm-up
            raise TraceError(f"{self.path} is damaged: its prefix has {prefix:,} frames, its warm-up {warmup:,} calls.")

    @property
    def run(self) -> RunFacts:
        """What decided the run.

        Raises:
            TraceError: the run ended before it began.
        """
        return self._begun(self.manifest.run)

    @property
    def model(self) -> ModelFacts:
        """Facts about the checkpoint."""
        return self.run.model

    def config_at(self, call: int) -> GenerationConfig:
        """The config in force at `call`, edits included."""
        return config_at(self.run.config, self.run.edits, call)

    # Columns

    @property
    def warmup_calls(self) -> int:
        """Calls of the warm-up, which come first."""
        return self._given_calls

    @property
    def steps(self) -> np.ndarray:
        """[calls] frame index of each call; the last one of a prefix comes twice."""
        return self.column("step")

    @property
    def actions(self) -> np.ndarray:
        """[calls] as drawn; a text id in warm-up."""
        return self.column("action")

    @property
    def main(self) -> np.ndarray:
        """[calls] text token that each call put into the main stream."""
        return self.column("emitted")[:, 0]

    @property
    def second(self) -> np.ndarray:
        """[calls] text token that each call put into the second stream."""
        return self.column("emitted")[:, 1]

    @property
    def codes(self) -> np.ndarray:
        """[calls, K] codes that each call drew; −1 in warm-up."""
        return self.column("codes")

    @cached_property
    def step_tokens(self) -> np.ndarray:
        """[calls, B, 2 + K] as the transformer saw them; row 1 is the unconditional branch, where there is one."""
        cond = np.concatenate((self.column("text"), self.column("audio")), axis=1)
        if self.model.branches == 1:
            return cond[:, None]
        uncond = cond.copy()
        uncond[:, 0], uncond[:, 1] = self.model.tokens.zero, self.model.tokens.pad
        return np.stack((cond, uncond), axis=1)

    @property
    def kv_lengths(self) -> np.ndarray:
        """[calls, 2] filled slots after each call: of the transformer's cache, of the depformer's."""
        transformer = self.column("slot") + 1
        depformer = np.where(self.column("phase") == 1, self.model.codebooks - 1, 0)
        return np.stack((transformer, depformer), axis=1)

    @property
    def times(self) -> np.ndarray:
        """[calls, 4] seconds of first half, machine, second half and whole frame; NaN in warm-up."""
        return self.column("times")

    @cached_property
    def prefix(self) -> Prefix | None:
        """What the run went on from; none without a prefix.

        Raises:
            TraceError: it was taken out, or is damaged.
        """
        frames = self.run.prefix_frames
        if not frames:
            return None
        return read_prefix(self.path, self.model, frames, self.run.prefix_words)

    @cached_property
    def grid(self) -> np.ndarray:
        """[K, columns] the delayed grid after the last call, audio pad where nothing was written."""
        grid = self.raw_grid
        return np.where(grid == self.model.tokens.ungenerated, self.model.tokens.audio_pad, grid)

    @cached_property
    def raw_grid(self) -> np.ndarray:
        """[K, columns] the same with `ungenerated` where nothing was written."""
        if "voice" in self.manifest.redacted:
            raise TraceError(f"{self.path} has no audio codes: the voice was redacted.")
        ids, main = self.model.tokens, self.column("phase") == 1
        prefix = self.prefix
        delayed = np.zeros((self.model.codebooks, 0), dtype=np.int64)
        if prefix is not None:
            with isolated():
                codes = torch.from_numpy(prefix.codes.astype(np.int64))
                delayed = delay_frames(codes, self.model.delays, ids.audio_pad).numpy()
        steps = self.steps[main].astype(np.int64)
        columns = int(steps[-1]) + 2 if len(steps) else delayed.shape[1]
        grid = np.full((self.model.codebooks, max(columns, delayed.shape[1])), ids.ungenerated, dtype=np.int64)
        grid[:, : delayed.shape[1]] = delayed
        grid[:, steps + 1] = self.codes[main].T
        return grid[:, :columns]

    @cached_property
    def aligned(self) -> np.ndarray:
        """[K, frames] codes of the trace's audio: undelayed, and cropped as the run did, or would have."""
        with isolated():
            aligned: np.ndarray = undelay(torch.from_numpy(self.grid), self.model.delays).numpy()
        return aligned[:, self.crop :]

    # Frames

    @property
    def frames(self) -> Frames:
        """One `Frame` per call: `trace.frames[311]`, `trace.frames[10:20]`, or a loop."""
        return Frames(self)

    def machine_at(self, call: int) -> MachineRow:
        """The state machine after `call`; −1 gives it before the first."""
        run, columns = self.run, self._columns
        if call == -1:
            return before_first(self.model.tokens, run.config.initial_padding, len(self.queue_at(-1)))
        call = self.check_call(call)
        value = {name: int(columns[name][call]) for name in _MACHINE}
        parts = {}
        for name in ("pending", "lookahead"):
            ends = columns[f"{name}_end"]
            parts[name] = columns[name][int(ends[call - 1]) if call else 0 : int(ends[call])].tolist()
        return MachineRow(
            step=value["step"],
            action=value["action"],
            forced=bool(value["forced"]),
            main=int(columns["emitted"][call, 0]),
            second=int(columns["emitted"][call, 1]),
            consumed=bool(value["consumed"]),
            padding_budget=value["padding_budget"],
            forced_padding=value["forced_padding"],
            entries_left=value["entries_left"],
            pending=parts["pending"],
            lookahead=parts["lookahead"],
            end_step=None if value["end_step"] < 0 else value["end_step"],
        )

    def queue_at(self, call: int) -> list[Entry]:
        """Words and breaks that the machine had left after `call`; −1: before the first.

        Counted from the front of the run's entries: those of streamed text are added while it runs, so that the last of
        them were not there yet.
        """
        if not len(self):
            return list(self.run.entries)
        call = -1 if call == -1 else self.check_call(call)
        consumed, left = self.column("consumed"), self.column("entries_left")
        taken = int(consumed[: call + 1].sum())
        count = int(left[call]) if call >= 0 else int(left[0]) + int(consumed[0])
        return self.run.entries[taken : taken + count]

    def frame(self, call: int) -> Frame:
        """The frame of one call, counted from 0.

        Raises:
            TraceError: there is no such call.
        """
        call = self.check_call(call)
        columns, main = self._columns, bool(self._columns["phase"][call])
        text = columns["text"][call].tolist()
        return Frame(
            call=call,
            phase="main" if main else "warmup",
            step=int(columns["step"][call]),
            position=int(columns["position"][call]),
            slot=int(columns["slot"][call]),
            text=(text[0], text[1]),
            audio=columns["audio"][call].tolist(),
            codes=columns["codes"][call].tolist() if main else None,
            before=self.machine_at(call - 1),
            machine=self.machine_at(call),
            kv_transformer=int(columns["slot"][call]) + 1,
            kv_depformer=self.model.codebooks - 1 if main else 0,
            seconds=FrameSeconds(*map(float, columns["times"][call])) if main else None,
            draws=self.draws(call),
        )

    def draws(self, call: int) -> list[Draw]:
        """What the draws of a call chose among; empty where the trace kept none."""
        columns = self._row(call)
        names = self.manifest.draws
        codes = columns["codes"]
        choice = [int(columns["action"]) if n == "action" else int(codes[draw_codebook(n)]) for n in names]
        return stored_draws(columns, names, choice)

    def logits(self, call: int) -> dict[str, np.ndarray]:
        """Recorded logits of one call, level `full`: action [B, V], cb0 [B, V], dep [K-1, B, codes]; else empty."""
        columns = self._row(call)
        return {name.removeprefix("logits."): array for name, array in columns.items() if name.startswith("logits.")}

    # Words, audio, search

    @cached_property
    def crop(self) -> int:
        """Frames that the audio lacks at its front; of a run that ended before its crop, those that it would lack."""
        run, result = self.run, self.manifest.result
        if result.crop is not None:
            return result.crop
        if run.config.includes_prefix:
            return 0
        if result.first_word_frame is not None:
            return result.first_word_frame
        # As `FirstWord` of the runtime finds it. Without a new word in the main stream, which a machine with lookahead
        # does not put there, it is the step at which the main loop starts: the prefix's last.
        if len(self):
            found = np.flatnonzero((self.column("phase") == 1) & (self.main == self.model.tokens.new_word))
            if len(found):
                return max(0, int(self.steps[found[0]]) - run.config.initial_padding)
        return max(0, run.prefix_frames - 1)

    @cached_property
    def words(self) -> list[TraceWord]:
        """Every word of prefix and script, with the call at which the machine took it, and when it sounds."""
        run, rate = self.run, self.model.frame_rate
        taken = np.flatnonzero(self.column("consumed")).tolist()
        crop = self.crop
        includes_prefix = run.config.includes_prefix
        recorded = self.prefix_starts
        words: list[TraceWord] = []
        for i, entry in enumerate(run.entries):
            if not entry.tokens:
                continue
            call = taken[i] if i < len(taken) else None
            step = None if call is None else int(self.steps[call])
            heard = step is not None and step >= crop and (i >= run.prefix_words or includes_prefix)
            seconds = sounds_at(step, crop, rate) if heard and step is not None else None
            if seconds is not None and call is not None and i < len(recorded) and call < self.warmup_calls:
                seconds = recorded[i]  # said by the recording, whatever became of its boundary
            prefix = i < run.prefix_words
            words.append(TraceWord(len(words), entry.text, entry.speaker, prefix, entry.tokens, call, step, seconds))
        return words

    @cached_property
    def prefix_starts(self) -> list[float]:
        """Seconds at which the prefix, its recordings joined, says each of its words; empty if nothing tells."""
        run, rate = self.run, self.model.frame_rate
        if len(run.spoken) == run.prefix_words:
            before = (0.0, *(frames / rate for frames in run.voice_frames[:1]))
            return [word.start + before[min(word.speaker, len(before)) - 1] for word in run.spoken]
        try:
            prefix = self.prefix
        except TraceError:  # taken out, or lost
            return []
        asked = zip([] if prefix is None else prefix.new_word_steps.tolist(), run.entries, strict=False)
        return [asked_at(step, entry.speaker, rate) for step, entry in asked]

    @property
    def heard(self) -> list[TraceWord] | None:
        """The words that sound within the audio; none where no audio is known of, as of a killed or a streamed run."""
        samples = self.manifest.result.samples
        if not samples:
            return None
        end = samples / self.model.sample_rate
        return [word for word in self.words if word.seconds is not None and word.seconds < end]

    @cached_property
    def audio(self) -> tuple[np.ndarray, int] | None:
        """(waveform [N] float32, sample rate) of the run's result; none if there is none.

        Raises:
            TraceError: the file is damaged.
        """
        return read_audio(self.path) if self.manifest.audio else None

    def find(
        self,
        field: str | None = None,
        value: int | str | Callable[[int], bool] | None = None,
        *,
        word: str | None = None,
        after: int | None = None,
        before: int | None = None,
    ) -> list[int]:
        """Calls at which something happened, in order.

            trace.find("forced_padding", before=311)[-1]  # where it last changed before call 311
            trace.find("action", "new_word")              # where new word was drawn
            trace.find("codes.3", lambda code: code == 17)
            trace.find(word="Hello")                      # where the machine took that word

        Args:
            field: a column of one number per call; `main` and `second` for the streams, `codes.k` for codebook k.
            value: an equal value, or a predicate, or of an action its name, `new_word` or `pad`; none: where the field
                differs from the call before.
            word: instead of `field`: a word's text, with or without its punctuation, in any case.
            after: only calls after this one.
            before: only calls before this one.

        Raises:
            TraceError: there is no such field, or it has no values of that name.
        """
        if word is not None:
            calls = self._calls_of(word)
        elif isinstance(value, str):
            calls = self._calls_with(field, value)
        else:
            calls = changes_or_hits(self._field(field), value)
        return [call for call in calls if (after is None or call > after) and (before is None or call < before)]

    def _calls_of(self, word: str) -> list[int]:
        if "text" in self.manifest.redacted:
            raise TraceError(f"{self.path} has no words to find: the text was redacted.")
        wanted = bare(word)
        exact = word.casefold()
        texts = ((w.call, w.text) for w in self.words)
        return [
            call
            for call, text in texts
            if call is not None and (exact == text.casefold() or (wanted and wanted == bare(text)))
        ]

    def _calls_with(self, field: str | None, name: str) -> list[int]:
        from dia2.inspect.machine import drawn_action

        column = self._field(field)
        if field != "action" or name not in ("new_word", "pad"):
            raise TraceError(f"{field} has no value {name!r}: give a number, or of action new_word or pad.")
        rows = (self.machine_at(call) for call in range(len(column)))
        return [i for i, row in enumerate(rows) if drawn_action(self.model.tokens, row.action, row.forced) == name]

    def _field(self, name: str | None) -> np.ndarray:
        columns = {"main": self.main, "second": self.second}
        columns |= {f"codes.{k}": self.codes[:, k] for k in range(self.model.codebooks)}
        columns |= {key: column for key, column in self._columns.items() if column.shape == (len(self),)}
        if name not in columns:
            asked = "find() needs a field or a word" if name is None else f"A trace has no field {name!r}"
            fields = sorted({field.split(".")[0] for field in columns} - {"codes"})
            raise TraceError(f"{asked}; it has codes.k, {', '.join(fields)}.")
        return columns[name]

    # Elsewhere

    def to_parquet(self, path: str | Path) -> list[Path]:
        """Write `calls.parquet` and `draws.parquet` into the folder `path`; see `dia2.inspect.tables`."""
        from dia2.inspect.tables import to_parquet

        return to_parquet(self, path)

    def redact(self, path: str | Path, *, voice: bool = False, text: bool = False) -> Trace:
        """Write a copy without what was said, or without how it sounded; see `dia2.inspect.redact`."""
        from dia2.inspect.redact import redact

        return redact(self, path, voice=voice, text=text)

    # What other rooms of dia2.inspect do with a trace

    def replay(
        self,
        tts: Dia2,
        calls: Sequence[int] | slice | None = None,
        *,
        attention: bool = False,
        layers: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Replay:
        """Compute tensors again that were not recorded; see `dia2.inspect.replay.replay`."""
        from dia2.inspect.replay import replay

        return replay(self, tts, calls, attention=attention, layers=layers, progress=progress)

    def explore(self, other: Trace | None = None, *, tts: Dia2 | None = None, call: int = 0) -> Explorer:
        """Look at the run in a notebook: play it, scrub, click; see docs/explorer.md.

        Args:
            other: a second trace, shown beside this one with what differs marked.
            tts: an engine with the run's codec: then single codebooks can be heard.
            call: where to begin.

        Raises:
            TraceError: there is no such call, or the trace is damaged.
            UsageError: anywidget is not installed.
        """
        with notebook_extra("The explorer", ", or write a file by to_html()"):
            from dia2.inspect.explorer.widget import Explorer
        return Explorer(self, other=other, tts=tts, call=call)

    def lab(self, tts: Dia2, folder: str | Path | None = None) -> Lab:
        """Change the run in a notebook: guidance, temperature, seed or one action from a call on, and see both runs.

        Args:
            tts: the checkpoint that made the run.
            folder: where forks are recorded; none: in a temporary one, which goes with the lab.

        Raises:
            TraceError: the trace was redacted, or holds no calls.
            UsageError: another checkpoint, a folder that is not there, or anywidget is not installed.
        """
        with notebook_extra("The lab"):
            from dia2.inspect.lab import Lab
        return Lab(self, tts, folder)

    def to_html(self, path: str | Path, **options: Any) -> Path:
        """Write the explorer as one file for any browser; see `dia2.inspect.explorer.to_html`."""
        from dia2.inspect.explorer import to_html

        return to_html(self, path, **options)

    def fork(self, tts: Dia2, call: int, **options: Any) -> GenerationResult:
        """Generate again from `call` on; see `dia2.inspect.fork.fork`."""
        from dia2.inspect.fork import fork

        return fork(self, tts, call, **options)

    def diff(self, other: Trace, ignore: Collection[str] = ()) -> Diff:
        """Where this run and another part; see `dia2.inspect.diff.diff`."""
        from dia2.inspect.diff import diff

        return diff(self, other, ignore)

    def diagnose(self) -> Diagnosis:
        """What became of the prefix; see `dia2.inspect.doctor.diagnose`."""
        from dia2.inspect.doctor import diagnose

        return diagnose(self)

    def rows(self) -> list[FilledRow]:
        """The thirty rows; see `dia2.inspect.pipeline.fill_rows`."""
        from dia2.inspect.pipeline import fill_rows

        return fill_rows(self)


_MACHINE = (
    "step",
    "action",
    "forced",
    "consumed",
    "padding_budget",
    "forced_padding",
    "entries_left",
    "end_step",
)


class Frames(Sequence[Frame]):
    """The frames of a trace, made when they are asked for."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __repr__(self) -> str:
        return f"<Frames of {self._trace.path}: {counted(len(self), 'call')}>"

    def __len__(self) -> int:
        return len(self._trace)

    def __iter__(self) -> Iterator[Frame]:
        return (self._trace.frame(call) for call in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._trace.frame(call) for call in range(len(self))[index]]
        call = counted_from_0(index, "call")
        if not -len(self) <= call < len(self):
            raise IndexError(f"call {call} of {len(self)}")
        return self._trace.frame(call % len(self))
