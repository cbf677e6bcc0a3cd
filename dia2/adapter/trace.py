"""`Dia2Trace`: a recorded run of Dia2, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.adapter import ADAPTER
from dia2.adapter.ear.curves import EarCurves, read_ear
from dia2.adapter.frame import Frame, Frames, FrameSeconds
from dia2.adapter.machine import before_first
from dia2.adapter.manifest import Manifest, ModelFacts, RunFacts, parse_manifest
from dia2.adapter.prefix import Prefix, read_prefix, recordings_of
from dia2.adapter.rows import fill_row
from dia2.adapter.spelling.of import letters_of
from dia2.adapter.spelling.path import SpeltPath
from dia2.adapter.words import calls_of, prefix_starts, recorded_words, words_of
from dia2.common.errors import TraceError
from dia2.common.wording import counted
from dia2.inspect.schema.caches import Caches, Curve, Panel
from dia2.inspect.schema.grid import delayed, undelayed
from dia2.inspect.schema.row import FilledRow, Row
from dia2.inspect.schema.word import TraceWord
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.inspect.store.shards import out_of_order
from dia2.inspect.trace.recordings import PrefixRecording
from dia2.inspect.trace.trace import Trace
from dia2.inspect.trace.values import field
from dia2.runtime.assets import nano_folder
from dia2.runtime.edits import ChangeSampling, config_at
from dia2.runtime.observed import MachineRow
from dia2.runtime.state_machine import Entry

if TYPE_CHECKING:
    from dia2.generation import GenerationConfig


class Dia2Trace(Trace[Manifest]):
    """A recorded run of Dia2; made by `dia2.inspect.load`.

    Columns have one value per call, in the order of calls, warm-up first.
    """

    adapter = ADAPTER
    nothing_drawn = "a warm-up call draws nothing: actions and codes are the prefix's."

    def _parse(self, raw: Mapping[str, Any]) -> Manifest:
        return parse_manifest(raw, self.path)

    def _sizes(self) -> dict[str, int] | None:
        run = self.manifest.run
        return None if run is None else column_sizes(run.model, len(self.manifest.draws))

    def _check(self) -> None:
        check_steps(self.steps, self.warmup_calls, self.path)
        if int(self._columns["consumed"].sum()) > len(self.run.entries):
            raise TraceError(f"{self.path} is damaged: more entries are taken than there are.")
        warmup, prefix = self.warmup_calls, self.run.prefix_frames
        if warmup > prefix or (warmup < len(self) and warmup < prefix):  # a run can end in its warm-up
            raise TraceError(f"{self.path} is damaged: its prefix has {prefix:,} frames, its warm-up {warmup:,} calls.")

    def _fill(self, row: Row) -> FilledRow:
        return fill_row(row, self)

    def _audio_name(self, script: int) -> str | None:
        return AUDIO_FILE if self.manifest.audio else None

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
        return self.given_calls

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
        """What the run went on from; `None` without a prefix.

        Raises:
            TraceError: it was taken out, or is damaged.
        """
        frames = self.run.prefix_frames
        if not frames:
            return None
        return read_prefix(self.path, self.model, frames, self.run.prefix_words)

    @cached_property
    def recordings(self) -> list[PrefixRecording]:
        """The prefix's recordings whose sound the trace keeps, speaker 1 first.

        None of a `.voice` file, which has no sound; of a run recorded with `prefix_sound=False`, or by an earlier dia2;
        and where the voice was redacted.
        """
        return recordings_of(self.path, self.manifest)

    def recorded_words(self, recording: PrefixRecording) -> list[TraceWord]:
        """See `Trace`."""
        return recorded_words(self, recording)

    def given_samples(self, script: int = 0) -> int:
        """See `Trace`: what the crop leaves of the prefix; a frame or two, unless the prefix is to be heard."""
        self.check_script(script)
        return max(0, round((self.run.prefix_frames - self.crop) * self.model.sample_rate / self.model.frame_rate))

    @cached_property
    def ear(self) -> EarCurves | None:
        """How likely the checkpoint found the prefix's sound under its words; `None` where that is not kept.

        Raises:
            TraceError: it is damaged.
        """
        return read_ear(self)

    @cached_property
    def letters(self) -> Mapping[int, SpeltPath]:
        """By speaker: how well the letters of a recording's words fit its sound; see `letters_of`."""
        return letters_of(self)

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
        given = np.zeros((self.model.codebooks, 0), dtype=np.int64)
        if prefix is not None:
            given = delayed(prefix.codes.astype(np.int64), self.model.delays, ids.audio_pad)
        steps = self.steps[main].astype(np.int64)
        columns = int(steps[-1]) + 2 if len(steps) else given.shape[1]
        grid = np.full((self.model.codebooks, max(columns, given.shape[1])), ids.ungenerated, dtype=np.int64)
        grid[:, : given.shape[1]] = given
        grid[:, steps + 1] = self.codes[main].T
        return grid[:, :columns]

    @cached_property
    def aligned(self) -> np.ndarray:
        """[K, frames] codes of the trace's audio: undelayed, and cropped as the run did, or would have."""
        return undelayed(self.grid, self.model.delays)[:, self.crop :]

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
        return words_of(self)

    @cached_property
    def prefix_starts(self) -> list[float]:
        """Seconds at which the prefix, its recordings joined, says each of its words; empty if nothing tells."""
        return prefix_starts(self)

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
        """(waveform [N] float32, sample rate) of the run's result; `None` if there is none.

        Raises:
            TraceError: the file is damaged.
        """
        return self.sound()

    def _calls_of(self, word: str) -> list[int]:
        if "text" in self.manifest.redacted:
            raise TraceError(f"{self.path} has no words to find: the text was redacted.")
        return calls_of(self.words, word)

    def _calls_with(self, field: str | None, name: str) -> list[int]:
        column = self._field(field, 0)
        if field != "action" or name not in ("new_word", "pad"):
            raise TraceError(f"{field} has no value {name!r}: give a number, or of action new_word or pad.")
        rows = (self.machine_at(call) for call in range(len(column)))
        ids = self.model.tokens
        return [i for i, row in enumerate(rows) if ids.action_name(row.action, text=row.forced) == name]

    def _field(self, name: str | None, script: int) -> np.ndarray:
        return field(self, name, script, main=self.main, second=self.second)

    # What differs between two runs

    def settings(self, scripts: int) -> dict[str, object]:
        """See `Trace`."""
        run, config = self.run, self.run.config
        found: dict[str, object] = {"script": self.manifest.script, "seed": run.seed}
        found |= {name: getattr(config, name) for name in ("cfg_scale", "cfg_filter_k", "initial_padding")}
        for block in ("text", "audio"):
            found |= {f"{block}.{name}": value for name, value in asdict(getattr(config, block)).items()}
        found |= {"prefix_frames": run.prefix_frames, "prefix_words": run.prefix_words}
        found |= {f"checkpoint's {name}": value for name, value in sorted(run.hashes.items())}
        return found | {"device": run.model.device, "dtype": run.model.dtype}

    def token_names(self, draw: str) -> Mapping[int, str]:
        """See `Trace`."""
        ids = self.model.tokens
        return {ids.action_new_word: "new_word", ids.action_pad: "pad"} if draw == "action" else {}

    def sampling(self, call: int, draw: str) -> tuple[str, str]:
        """See `Trace`."""
        config = self.config_at(call)
        own, scale, best = config.text if draw == "action" else config.audio, config.cfg_scale, config.cfg_filter_k
        drawn = f"T {own.temperature:g}, top-k {own.top_k}" if own.temperature > 0 else "argmax"
        return drawn, f"cfg {scale:g}, all" if scale == 1.0 or best <= 0 else f"cfg {scale:g}, best {best}"

    def place(self, call: int) -> str:
        """See `Trace`."""
        return f"call {call}, step {self.steps[call]}"

    def timed_words(self, script: int = 0) -> list[TraceWord]:
        """See `Trace`."""
        self.check_script(script)
        return [word for word in self.words if word.seconds is not None]

    @property
    def redacted(self) -> list[str]:
        """See `Trace`."""
        return self.manifest.redacted

    def caches(self) -> Caches:
        """See `Trace`. After a prefix a call's slot is its position + 1: the prefix's last step is decoded twice."""
        filled, position = self.kv_lengths, self.column("position")
        transformer = (
            Curve("slots", filled[:, 0], "filled", "filled slots after the call"),
            Curve("position", position, "beside", "rotary position of the call (dashed)"),
        )
        ahead = Curve("slot - position", self.column("slot") - position, "between")
        panels = (
            Panel("transformer", transformer),
            Panel("slot −\nposition", (ahead,)),
            Panel("depformer", (Curve("depformer", filled[:, 1], "small"),)),
        )
        slots, depformer = (counted(int(count), "slot") for count in filled[-1])
        told = f"{slots} after {counted(len(self), 'call')} · rotary position {position[-1]}"
        return Caches(panels, f"{told} · depformer {depformer} a frame", "warm-up")

    def edits(self) -> list[tuple[int, str]]:
        """See `Trace`."""
        return [
            (e.call, f"{e.what} (from here on)" if isinstance(e, ChangeSampling) else e.what) for e in self.run.edits
        ]

    def parts(self, call: int, scripts: int, most: int) -> Iterator[tuple[str, object, str]]:
        """See `Trace`."""
        found: dict[str, Any] = {name: self.column(name)[call] for name in ("phase", "step", "position", "slot")}
        row, seen = self.machine_at(call), self.step_tokens[call, 0].tolist()
        found |= {"main text as seen": seen[0], "second text as seen": seen[1]}
        found |= {f"codebook {k} as seen": code for k, code in enumerate(seen[2:])}
        found["action"] = row.action
        left = [field.name for field in fields(MachineRow) if field.name not in ("step", "action", "main", "second")]
        found |= {f"machine.{name}": getattr(row, name) for name in left}
        found |= {"main": row.main, "second": row.second}
        found |= {f"codebook {k}": code for k, code in enumerate(self.codes[call].tolist())}
        for what, value in found.items():
            named = what == "action"
            yield what, value, self.model.tokens.action_name(value, text=row.forced) if named else str(value)


def column_sizes(model: ModelFacts, draws: int) -> dict[str, int]:
    """What the names in shapes and bounds of `LAYOUT` stand for."""
    return {
        "K": model.codebooks,
        "K-1": model.codebooks - 1,
        "D": draws,
        "B": model.branches,
        "actions": model.actions,
        "vocabulary": model.audio_vocabulary,
        "codes": model.codes,
        "text vocabulary": model.text_vocabulary,
        "actions or text": max(model.actions, model.text_vocabulary),
    }


def check_steps(steps: np.ndarray, warmup: int, path: Path) -> None:
    """Refuse steps [calls] that do not count up, the last one of a warm-up of so many calls twice.

    Raises:
        TraceError: they do not.
    """
    calls = np.arange(len(steps))
    if (steps != calls - ((calls >= warmup) & (warmup > 0))).any():
        raise out_of_order(path)


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


def sample() -> Dia2Trace:
    """A run of the embedded checkpoint that is recorded already: a short dialogue, with its sound."""
    return Dia2Trace(nano_folder() / "sample.dia2trace")
