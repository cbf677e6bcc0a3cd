"""Dia2's part in recording a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.columns import copied, frame_columns, held_bytes, merged
from dia2.adapter.describe import SAY, note
from dia2.adapter.ear.hear import Heard, hear
from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.adapter.edit_vectors import fingerprint_of, vector_columns
from dia2.adapter.facts import prefix_columns, run_facts
from dia2.adapter.given_voice import GivenVoice, given_voice
from dia2.adapter.layout import (
    EAR_FILE,
    EDITS_FILE,
    LAYOUT,
    MAX_EDITS,
    PREFIX_FILE,
    draw_names,
    recording_name,
)
from dia2.common.hooks import Span
from dia2.generation import GenerationConfig
from dia2.inspect.record.draws import arrays
from dia2.inspect.record.recording import LEFT, STOPPED, Recording
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import Edit
from dia2.runtime.guidance import special_codes
from dia2.runtime.interventions import Interventions
from dia2.runtime.observed import Frames, MachineRow
from dia2.runtime.state_machine import Entry
from dia2.runtime.voice_clone import PrefixPlan
from dia2.runtime.words import Word

logger = logging.getLogger("dia2")


class Dia2Recording(Recording):
    """See `Recording`."""

    say = SAY

    def __init__(self, sink: TraceSink) -> None:
        sink.manifest |= {"script": None, "recordings": []}
        self.draws: list[str] = []
        self.entries: list[Entry] = []  # prefix first; those of streamed text come while the run goes on
        self._sink = sink
        self._selected: frozenset[str] = frozenset()
        self._specials = torch.zeros(0, dtype=torch.bool)
        self._spoken: list[dict[str, Any]] = []  # prefix words with their times
        self._voices: list[GivenVoice] = []  # of the prefix, and whatever was read before it
        self._prefix: tuple[RuntimeContext, PrefixPlan] | None = None  # what is to be examined yet
        self._heard: Heard | None = None  # what the ear heard of it
        self._stop: str | None = None
        self._last: tuple[MachineRow, int] | None = None  # state after the last call seen of the main loop; its number

    def inherit(
        self, script: str | None, spoken: list[dict[str, Any]], voices: list[GivenVoice], heard: Heard | None
    ) -> None:
        """Know what a fork does not go through again, from the trace that it comes from.

        Args:
            script: its text.
            spoken: the prefix's words with their times.
            voices: what is known of each prefix recording.
            heard: what the ear heard of the prefix.
        """
        self._sink.manifest["script"] = script
        self._spoken, self._voices, self._heard = spoken, list(voices), heard

    # Phases

    def note(self, span: Span) -> None:
        """See `Recording`."""
        note(span)

    def codebooks(self, span: Span) -> int:
        """See `Recording`."""
        runtime = span.inputs["runtime"]
        assert isinstance(runtime, RuntimeContext), "the first parameter of state.build"
        return runtime.config.data.num_codebooks

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """See `Recording`."""
        runtime, config, plan = span.inputs["runtime"], span.inputs["config"], span.inputs["prefix"]
        interventions = span.inputs["interventions"]
        assert isinstance(runtime, RuntimeContext), "the first parameter of state.build"
        assert isinstance(config, GenerationConfig), "its second"
        assert plan is None or isinstance(plan, PrefixPlan), "its fourth"
        assert interventions is None or isinstance(interventions, Interventions), "its fifth"
        data, sink, voices = runtime.config.data, self._sink, self._voices_of(config, plan)
        self._selected = selected
        self.draws = [name for name in draw_names(data.num_codebooks) if f"draw.{name}" in selected]
        self._specials = special_codes(runtime.constants, data.audio_vocab_size)
        sink.writer.small = frozenset() if data.audio_vocab_size > 2**15 else LAYOUT.small
        sink.manifest["draws"] = self.draws
        sink.manifest["run"] = run_facts(runtime, config, span.inputs["seed"], plan, interventions) | {
            "voice_frames": [len(voice.loudness.rms) for voice in voices],
            "spoken": self._spoken,
            "entries": self._entry_rows(),
        }
        sink.begin()
        if plan is not None:
            self._prefix = runtime, plan
            sink.attempt(sink.writer.tensors, PREFIX_FILE, prefix_columns(plan, [voice.loudness for voice in voices]))
        self._keep_vectors(() if interventions is None else interventions.declared)
        self._keep(voices, runtime.mimi.sample_rate)

    def _keep_vectors(self, edits: Sequence[Edit]) -> None:
        """Write the numbers of edits of activations."""
        columns, sink = vector_columns(edits), self._sink
        if not columns:
            return
        if sum(array.nbytes for array in columns.values()) > MAX_EDITS:
            logger.warning("the trace keeps no vectors of edits: they are more than %d MB", MAX_EDITS >> 20)
            return
        metadata = fingerprint_of(sink.manifest["run"]["hashes"])
        sink.attempt(sink.writer.tensors, EDITS_FILE, columns, metadata)

    def _voices_of(self, config: GenerationConfig, plan: PrefixPlan | None) -> list[GivenVoice]:
        """The last that were read: others may have been before them, as by `save_voice`."""
        if plan is None or config.prefix is None:
            return []
        given = [source for source in (config.prefix.speaker_1, config.prefix.speaker_2) if source is not None]
        return self._voices[max(0, len(self._voices) - len(given)) :]

    def _keep(self, voices: Sequence[GivenVoice], rate: int) -> None:
        """Write the sound of the prefix's recordings, and let go of it."""
        kept = self._sink.manifest["recordings"]
        for speaker, voice in enumerate(voices, 1):
            samples = voice.samples
            if samples is not None and self._sink.sound(samples, rate, recording_name(speaker)):
                kept.append({"speaker": speaker, "samples": len(samples)})
        self._voices = []

    def learn(self, span: Span) -> None:
        """See `Recording`."""
        result: Any = span.result
        sink = self._sink
        if sink.manifest["run"] is not None and span.name.startswith(("script.", "prefix.", "entries.")):
            return  # of a second run, which is refused when it gets to its state
        if span.name == "script.normalize":
            sink.manifest["script"] = result
        elif span.name == "prefix.voice":
            voiced: Any = span.inputs["runtime"]
            self._voices.append(given_voice(result, voiced.mimi, sound=sink.prefix_sound))
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
            sink.result(**found, columns=result.grid.shape[2])
        elif span.name == "grid.crop":
            sink.result(crop=result)
        elif span.name == "codec.decode":
            runtime: Any = span.inputs["runtime"]
            sink.result(samples=len(result))
            if len(result) and sink.sound(result.numpy(), runtime.mimi.sample_rate):
                sink.manifest["audio"] = AUDIO_FILE
        elif span.name == "words.place":
            sink.result(timestamps=[[word.text, word.timestamp, word.speaker] for word in result])

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

    def columns(self, parts: Sequence[Frames], *, draws: bool, logits: bool) -> dict[str, np.ndarray]:
        """See `Recording`."""
        frames = merged(parts)
        names = self.draws if draws and frames.codes is not None else []
        wanted = self._wanted_logits(frames) if logits else {}
        self._sink.fired |= _FRAME_POINTS
        if frames.codes is not None:
            self._sink.fired |= _MAIN_POINTS | {f"draw.{name}" for name in names} | _logit_points(wanted)
        return arrays(frame_columns(frames, names, self._specials, wanted))

    def _wanted_logits(self, frames: Frames) -> dict[str, Tensor]:
        return {
            name: value
            for name, value in frames.logits.items()
            if any(point.startswith(f"logits.{name}") for point in self._selected)
        }

    # The end

    def refresh(self) -> bool:
        """See `Recording`: no call may take an entry of streamed text that is not there."""
        run = self._sink.manifest["run"]
        if run is None or len(run["entries"]) >= len(self.entries):
            return False
        run["entries"] = self._entry_rows()
        return True

    def examine(self) -> None:
        """See `Recording`: whether the words of the prefix stand where they sound, by the checkpoint's own ear."""
        prefix, self._prefix = self._prefix, None
        if prefix is None or self._stop == "interrupted":
            return
        heard = self._heard or self._listen(*prefix)
        if heard is not None:
            self._sink.attempt(self._sink.writer.tensors, EAR_FILE, heard._asdict())

    def _listen(self, runtime: RuntimeContext, plan: PrefixPlan) -> Heard | None:
        voice_frames: list[int] = self._sink.manifest["run"]["voice_frames"]
        if len(self._spoken) != len(plan.entries) or sum(voice_frames) != plan.aligned_frames:
            return None  # somebody else made the plan, and when its words are said is not known
        spoken = [
            [Word(row["text"], row["start"], row["end"]) for row in self._spoken if row["speaker"] == speaker]
            for speaker in range(1, len(voice_frames) + 1)
        ]
        given = Hypothesis(self.entries, plan.new_word_steps)
        try:
            return hear(runtime, plan.aligned_tokens, voice_frames, spoken, given)
        except torch.OutOfMemoryError:
            logger.warning("the word times of the prefix are not judged: there is too little memory on the device")
            return None

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
        run = self._sink.manifest["run"]
        model = run["model"]
        if call + 1 == run["prefix_frames"] + model["max_context_steps"]:
            return True
        return row.end_step is not None and row.step >= row.end_step + max(model["delays"]) + model["max_padding"] - 1


def _logit_points(logits: dict[str, Tensor]) -> set[str]:
    names = {f"logits.{name}" for name in logits if name != "dep"}
    if "dep" in logits:
        names |= {f"logits.dep.{k + 1}" for k in range(logits["dep"].shape[1])}
    return names


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
