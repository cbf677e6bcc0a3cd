"""Voice cloning: turn up to two recordings with their words into a prefix that generation goes on from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import phase
from dia2.common.progress import doing
from dia2.generation import PrefixConfig, WordList
from dia2.runtime.audio_io import encode_audio_tokens, require_audio, resample
from dia2.runtime.recordings import whisper_key
from dia2.runtime.script_parser import Encode
from dia2.runtime.sounding import SPEAKER_1_OFFSET, asked_at
from dia2.runtime.state_machine import Entry
from dia2.runtime.voice_file import VOICE_SUFFIX, Voice, load_voice, require_voice
from dia2.runtime.words import WHISPER_RATE, Word, load_whisper, read_words, transcribe_words

if TYPE_CHECKING:
    from dia2.runtime.context import RuntimeContext

logger = logging.getLogger("dia2")


@dataclass(frozen=True)
class PrefixPlan:
    """What warm-up feeds to model and machine."""

    entries: list[Entry]  # the prefix's words, both speakers
    new_word_steps: list[int]  # step at which each of them is forced; a boundary can be swallowed, see warm-up
    aligned_tokens: Tensor  # [K, aligned_frames] int64 codes, both speakers joined in time
    starts: Sequence[float] | None = None  # seconds in that at which each word is said; `None`: only the steps tell

    @property
    def aligned_frames(self) -> int:
        """Length of the prefix in frames."""
        return int(self.aligned_tokens.shape[1])

    def sounds(self, frame_rate: float) -> Sequence[float]:
        """Seconds of the prefix at which each word is said."""
        if self.starts is not None:
            return self.starts
        asked = zip(self.new_word_steps, self.entries, strict=True)
        return [asked_at(step, entry.speaker, frame_rate) for step, entry in asked]


def check_prefix(prefix: PrefixConfig | None) -> None:
    """Refuse what can be refused before a checkpoint is loaded.

    Raises:
        UsageError: speaker 2 without speaker 1, words without audio, or a file that is not there.
    """
    if prefix is None:
        return
    if prefix.speaker_1 is None and prefix.speaker_2 is not None:
        raise UsageError("A prefix for speaker 2 needs one for speaker 1 before it: give --prefix-speaker-1 too.")
    if prefix.speaker_1 is None and (prefix.words_1 is not None or prefix.words_2 is not None):
        raise UsageError("Prefix words are given without prefix audio: give --prefix-speaker-1 too.")
    if prefix.speaker_2 is None and prefix.words_2 is not None:
        raise UsageError("Prefix words for speaker 2 are given without audio: give --prefix-speaker-2 too.")
    for source in (prefix.speaker_1, prefix.speaker_2):
        if source is not None:
            require_source(source)


def require_source(source: str | Path) -> None:
    """Raise UsageError if there is no such sound file, or `.voice` file."""
    (require_voice if Path(source).suffix == VOICE_SUFFIX else require_audio)(source)


@phase("prefix.plan")
def build_prefix_plan(runtime: RuntimeContext, prefix: PrefixConfig | None) -> PrefixPlan | None:
    """Read, transcribe and encode the prefix; `None` if no speaker is given.

    Raises:
        UsageError: speaker 2 without speaker 1, or a recording, voice or word list that cannot be used.
    """
    check_prefix(prefix)
    if prefix is None or prefix.speaker_1 is None:
        return None
    given = [(prefix.speaker_1, prefix.words_1), (prefix.speaker_2, prefix.words_2)]
    try:
        voices = [read_voice(runtime, source, words, prefix.whisper) for source, words in given if source is not None]
    finally:
        load_whisper.cache_clear()  # gigabytes that generation has better use for
    spoken = [words_to_entries(v.words, runtime.encode, i + 1, runtime.frame_rate) for i, v in enumerate(voices)]
    plan = combine_voices(spoken, [v.codes for v in voices])
    offsets = (0.0, voices[0].seconds(runtime.frame_rate))  # of the second in time
    starts = [word.start + offset for v, offset in zip(voices, offsets, strict=False) for word in v.words]
    return replace(plan, starts=starts)


@phase("prefix.combine")
def combine_voices(spoken: Sequence[tuple[list[Entry], list[int]]], codes: Sequence[Tensor]) -> PrefixPlan:
    """Both speakers one after the other.

    Args:
        spoken: per speaker, entries and new-word steps as `words_to_entries` gives them.
        codes: per speaker, [K, frames].
    """
    entries = [entry for words, _ in spoken for entry in words]
    steps = [step + SPEAKER_1_OFFSET for step in spoken[0][1]]
    if len(spoken) > 1:
        steps += [step + codes[0].shape[1] for step in spoken[1][1]]
    return PrefixPlan(entries, steps, torch.cat(list(codes), dim=1))


@phase("prefix.voice")
def read_voice(
    runtime: RuntimeContext,
    source: str | Path,
    words: str | Path | WordList | None,
    whisper_model: str,
) -> Voice:
    """One speaker's codes and words, from a sound file or a `.voice` file.

    Of a sound file that was read lately, neither Whisper nor Mimi is asked again; given words are read each time.

    Raises:
        UsageError: the file or its words cannot be used.
        Dia2Error: Whisper cannot be loaded.
    """
    if Path(source).suffix == VOICE_SUFFIX:
        voice = load_voice(source, runtime.mimi)
        return voice if words is None else Voice(voice.codes, read_words(words, voice.seconds(runtime.frame_rate)))
    recording = runtime.recordings.read(source, runtime.mimi.sample_rate)
    samples, kept = recording.samples, []
    if recording.codes is not None:
        kept.append("codes")
    if words is not None:
        spoken = read_words(words, samples.shape[0] / runtime.mimi.sample_rate)
    else:
        listener = whisper_key(whisper_model)
        if listener in recording.heard:
            kept.append("words")
        else:
            at_16_khz = resample(samples, runtime.mimi.sample_rate, WHISPER_RATE)
            recording.heard[listener] = transcribe_words(at_16_khz, whisper_model, runtime.device, Path(source).name)
        spoken = recording.heard[listener]
    if recording.codes is None:
        doing(f"encoding {Path(source).name}")
        recording.codes = encode_audio_tokens(runtime.mimi, samples).cpu()  # where those of a voice file are
    if kept:
        logger.info("prefix: %s of %s kept from an earlier run", " and ".join(kept), short(Path(source).name))
    return Voice(recording.codes, list(spoken), samples, recording.clipped, tuple(kept))


@phase("prefix.words")
def words_to_entries(
    words: Sequence[Word], encode: Encode, speaker: int, frame_rate: float
) -> tuple[list[Entry], list[int]]:
    """Entries of one speaker's words, and the step at which each is to begin (before any offset).

    From one word to the next there is a frame for each token of the first, and one more: words of many tokens push the
    next ones back.
    """
    entries: list[Entry] = []
    steps: list[int] = []
    tokens = [encode(f"[S{speaker}] {word.text}" if i == 0 else word.text) for i, word in enumerate(words)]
    starts = [round(word.start * frame_rate) for word in words]
    starts.append(round(words[-1].end * frame_rate))
    end = 0
    for i, word in enumerate(words):
        start = max(end + 1, starts[i])
        end = start + len(tokens[i])
        padding = max(0, max(end + 1, starts[i + 1]) - start - 1)
        entries.append(Entry(tokens=tokens[i], text=word.text, padding=padding, speaker=speaker))
        steps.append(start - 1)
    return entries, steps
