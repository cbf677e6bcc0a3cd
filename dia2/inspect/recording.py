"""What a recorder knows of one model: what its phases tell, and how its finished calls become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dia2.generation import GenerationConfig
from dia2.hooks import Frames, MachineRow, Model, Span
from dia2.inspect.book import Book
from dia2.inspect.columns import copied, frame_columns, held_bytes, merged
from dia2.inspect.describe import SAY, Sayings
from dia2.inspect.draws import draw_names
from dia2.inspect.facts import prefix_columns, run_facts
from dia2.inspect.layout import AUDIO_FILE
from dia2.inspect.loudness import Loudness, loudness, unknown
from dia2.runtime.choices import Choices
from dia2.runtime.context import RuntimeContext
from dia2.runtime.guidance import special_codes
from dia2.runtime.state_machine import Entry
from dia2.runtime.voice_clone import PrefixPlan
from dia2.runtime.voice_file import Voice

LEFT = "the run was left before its end"
STOPPED = "interrupted by the user"


class Recording(Protocol):
    """One model's part in recording a run; `Recorder` makes it when the first phase of that model begins."""

    model: Model
    begins: str  # the phase with which a run begins
    needed: frozenset[str]  # points without which a trace would not know its own run; no filter can leave them out
    say: Sayings  # the texts of its phases
    draws: list[str]  # names of those that are recorded, once a run has begun

    def codebooks(self, span: Span) -> int:
        """Codebooks, or channels, of the run that begins with this span."""

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """Note what decides the run, of which the points `selected` are recorded, and begin the book."""

    def learn(self, span: Span) -> None:
        """Keep what a phase that ended well tells of the run."""

    def first(self, frames: Any) -> int:
        """Number of the first of some finished calls."""

    def count(self, frames: Any) -> int:
        """How many they are."""

    def kind(self, frames: Any) -> object:
        """What must be equal for calls to stand in one shard."""

    def take(self, frames: Any) -> None:
        """Look at finished calls, whether they can be written or not."""

    def copied(self, frames: Any) -> Any:
        """The same with tensors of its own."""

    def held_bytes(self, frames: Any) -> int:
        """Bytes of logits a call."""

    def columns(self, parts: Sequence[Any], *, draws: bool, logits: bool) -> Mapping[str, Tensor]:
        """Columns of a shard of finished calls in a row: with what was selected of draws and logits, or without."""

    def refresh(self) -> bool:
        """Bring the manifest up to date before a shard or the end; whether anything changed."""

    def cut_short(self) -> str | None:
        """Why a run that raised nothing is not complete; none: it is."""


class Dia2Recording:
    """Dia2's part."""

    model: Model = "dia2"
    begins = "state.build"
    needed = frozenset(
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
    say = SAY

    def __init__(self, book: Book) -> None:
        self.draws: list[str] = []
        self.entries: list[Entry] = []  # prefix first; those of streamed text come while the run goes on
        self._book = book
        self._selected: frozenset[str] = frozenset()
        self._specials = torch.zeros(0, dtype=torch.bool)
        self._spoken: list[dict[str, Any]] = []  # prefix words with their times
        self._loudness: list[Loudness] = []  # per prefix voice; NaN without a waveform
        self._stop: str | None = None
        self._last: tuple[MachineRow, int] | None = None  # state after the last call seen of the main loop; its number

    def inherit(self, script: str | None, spoken: list[dict[str, Any]], voices: list[Loudness]) -> None:
        """See `Recorder.inherit`."""
        self._book.manifest["script"] = script
        self._spoken, self._loudness = spoken, list(voices)

    # Phases

    def codebooks(self, span: Span) -> int:
        """See `Recording`."""
        runtime = span.inputs["runtime"]
        assert isinstance(runtime, RuntimeContext), "the first parameter of state.build"
        return runtime.config.data.num_codebooks

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """See `Recording`."""
        runtime, config, plan = span.inputs["runtime"], span.inputs["config"], span.inputs["prefix"]
        choices = span.inputs["choices"]
        assert isinstance(runtime, RuntimeContext), "the first parameter of state.build"
        assert isinstance(config, GenerationConfig), "its second"
        assert plan is None or isinstance(plan, PrefixPlan), "its fourth"
        assert choices is None or isinstance(choices, Choices), "its fifth"
        data, book = runtime.config.data, self._book
        self._selected = selected
        self.draws = [name for name in draw_names(data.num_codebooks) if f"draw.{name}" in selected]
        self._specials = special_codes(runtime.constants, data.audio_vocab_size)
        book.writer.wide = data.audio_vocab_size > 2**15
        book.manifest["draws"] = self.draws
        book.manifest["run"] = run_facts(runtime, config, span.inputs["seed"], plan, choices) | {
            "voice_frames": [len(voice.rms) for voice in self._loudness],
            "spoken": self._spoken,
            "entries": self._entry_rows(),
        }
        book.begin()
        if plan is not None:
            book.attempt(book.writer.prefix, prefix_columns(plan, self._loudness))

    def learn(self, span: Span) -> None:
        """See `Recording`."""
        result: Any = span.result
        book = self._book
        if book.manifest["run"] is not None and span.name.startswith(("script.", "prefix.", "entries.")):
            return  # of a second run, which is refused when it gets to its state
        if span.name == "script.normalize":
            book.manifest["script"] = result
        elif span.name == "prefix.voice":
            voiced: Any = span.inputs["runtime"]
            self._loudness.append(_loudness(result, voiced.mimi.sample_rate, voiced.mimi.frame_rate))
        elif span.name == "prefix.words":
            words: Any = span.inputs["words"]
            speaker = span.inputs["speaker"]
            self._spoken += [
                {"text": word.text, "start": word.start, "end": word.end, "speaker": speaker} for word in words
            ]
        elif span.name == "entries.combine":
            self.entries = result
        elif span.name == "loop":
            self._stop = result.stop_reason
            found = {"stop_reason": result.stop_reason, "first_word_frame": result.first_word_frame}
            book.result(**found, columns=result.grid.shape[2])
        elif span.name == "grid.crop":
            book.result(crop=result)
        elif span.name == "codec.decode":
            runtime: Any = span.inputs["runtime"]
            book.result(samples=len(result))
            if len(result) and book.sound(result, runtime.mimi.sample_rate):
                book.manifest["audio"] = AUDIO_FILE
        elif span.name == "words.place":
            book.result(timestamps=[[word.text, word.timestamp, word.speaker] for word in result])

    def _entry_rows(self) -> list[list[Any]]:
        return [[entry.text, entry.tokens, entry.padding, entry.speaker] for entry in self.entries]

    # Frames

    def first(self, frames: Frames) -> int:
        """See `Recording`."""
        return frames.calls[0].call

    def count(self, frames: Frames) -> int:
        """See `Recording`."""
        return len(frames.calls)

    def kind(self, frames: Frames) -> object:
        """See `Recording`: one phase, one config."""
        return frames.codes is None, frames.config

    def take(self, frames: Frames) -> None:
        """See `Recording`."""
        if frames.codes is not None:
            self._last = frames.machine[-1], frames.calls[-1].call

    def copied(self, frames: Frames) -> Frames:
        """See `Recording`."""
        return copied(frames)

    def held_bytes(self, frames: Frames) -> int:
        """See `Recording`."""
        return held_bytes(frames)

    def columns(self, parts: Sequence[Frames], *, draws: bool, logits: bool) -> dict[str, Tensor]:
        """See `Recording`."""
        frames = merged(parts)
        names = self.draws if draws and frames.codes is not None else []
        wanted = self._wanted_logits(frames) if logits else {}
        self._book.fired |= _FRAME_POINTS
        if frames.codes is not None:
            self._book.fired |= _MAIN_POINTS | {f"draw.{name}" for name in names} | _logit_points(wanted)
        return frame_columns(frames, names, self._specials, wanted)

    def _wanted_logits(self, frames: Frames) -> dict[str, Tensor]:
        return {
            name: value
            for name, value in frames.logits.items()
            if any(point.startswith(f"logits.{name}") for point in self._selected)
        }

    # The end

    def refresh(self) -> bool:
        """See `Recording`: no call may take an entry of streamed text that is not there."""
        run = self._book.manifest["run"]
        if run is None or len(run["entries"]) >= len(self.entries):
            return False
        run["entries"] = self._entry_rows()
        return True

    def cut_short(self) -> str | None:
        """See `Recording`."""
        if self._stop == "interrupted":
            return STOPPED
        return LEFT if self._stop is None and not self._streamed_to_its_end() else None

    def _streamed_to_its_end(self) -> bool:
        """The end that the main loop comes to by itself: after the last word, or with the last step of the context."""
        if self._last is None:
            return False
        row, call = self._last
        run = self._book.manifest["run"]
        model = run["model"]
        if call + 1 == run["prefix_frames"] + model["max_context_steps"]:
            return True
        return row.end_step is not None and row.step >= row.end_step + max(model["delays"]) + model["max_padding"] - 1


def _logit_points(logits: dict[str, Tensor]) -> set[str]:
    names = {f"logits.{name}" for name in logits if name != "dep"}
    if "dep" in logits:
        names |= {f"logits.dep.{k + 1}" for k in range(logits["dep"].shape[1])}
    return names


def _loudness(voice: Voice, sample_rate: int, frame_rate: float) -> Loudness:
    frames = voice.codes.shape[1]
    if voice.samples is None:
        return unknown(frames)
    clipped = None if voice.clipped is None else voice.clipped * sample_rate
    return loudness(voice.samples, sample_rate / frame_rate, frames, clipped)


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
