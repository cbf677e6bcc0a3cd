"""The manifest of a trace of Dia2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from dia2.adapter.edit_vectors import with_vectors
from dia2.adapter.layout import MAX_PREFIX_FRAMES, SPEAKERS, draw_names
from dia2.common.brief import brief_repr
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.generation import GenerationConfig, PrefixConfig, SamplingConfig
from dia2.inspect.store import bounds
from dia2.inspect.store.bounds import Count, Delay, Layers, Listed, Vocabulary
from dia2.inspect.store.layout import AUDIO_FILE, MAX_AUDIO_SAMPLES, MAX_CALLS
from dia2.inspect.store.manifest import Head, decode, require
from dia2.runtime.edits import Edit, edit_from_json
from dia2.runtime.state_machine import Entry, TokenIds

Speaker = Annotated[int, Meta(ge=0, le=2)]  # 0: nobody
PrefixFrames = Annotated[int, Meta(ge=0, le=MAX_PREFIX_FRAMES)]
Seconds = Annotated[float, Meta(ge=0, le=1e5)]
Candidates = Annotated[int, Meta(ge=-(2**31), le=2**31)]  # none or fewer: all


@dataclass(frozen=True)
class ModelFacts:
    """What a reader needs to know of the checkpoint without having it."""

    __repr__ = brief_repr

    codebooks: bounds.Codebooks  # K
    delays: bounds.Delays  # grid columns by which codebook k lags
    branches: Annotated[int, Meta(ge=1, le=2)]  # 2 with guidance, else 1
    text_vocabulary: bounds.Size
    audio_vocabulary: Vocabulary  # codes, pad and BOS
    actions: Vocabulary
    codes: Vocabulary  # a codebook's
    second_stream_ahead: Annotated[int, Meta(ge=0, le=1000)]
    max_padding: Delay
    max_context_steps: Annotated[int, Meta(ge=1, le=MAX_CALLS)]
    frame_rate: bounds.FrameRate  # frames a second
    sample_rate: bounds.SampleRate  # Hz
    layers: Layers
    heads: Layers
    kv_heads: Layers
    depformer_layers: Annotated[int, Meta(ge=0, le=10_000)]
    device: str
    dtype: str
    tokens: TokenIds
    products: str | None = None  # by what int8 weights were multiplied; `None`: there are none, or it is not known

    def __post_init__(self) -> None:
        """Check the sizes, and the tokens with them."""
        text, audio = self.text_vocabulary, self.audio_vocabulary
        require("delays", len(self.delays) == self.codebooks)
        require("codes", self.codes <= audio)
        limits = {"audio_pad": (0, audio), "audio_bos": (0, audio), "ungenerated": (-10, 0)}
        for name, token in vars(self.tokens).items():
            least, end = limits.get(name, (-10, max(text, audio)))
            require(f"tokens.{name}", least <= token < end)


@dataclass(frozen=True)
class SpokenWord:
    """A word of a prefix recording, as it was heard or given."""

    text: str
    start: Seconds  # from the start of its speaker's recording
    end: Seconds
    speaker: Annotated[int, Meta(ge=1, le=2)]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What decided the run."""

    __repr__ = brief_repr

    hashes: dict[str, str | None]  # SHA-256 of config, weights, tokenizer, codec; `None` where not local
    model: ModelFacts
    config: GenerationConfig  # before any edit; its prefix names files that need not be here
    seed: bounds.Seed
    edits: list[Edit]
    forked_at: Count | None = None  # up to this call the run repeated another one's choices
    entries: list[Entry]  # prefix first
    prefix_words: Count  # how many of `entries` belong to the prefix
    prefix_frames: PrefixFrames
    voice_frames: Annotated[list[PrefixFrames], Meta(max_length=2)]  # of each prefix recording: `prefix_frames` in all
    spoken: Listed[SpokenWord]  # the prefix's words with their times; may be fewer than `prefix_words` for old voices


@dataclass(frozen=True)
class RecordingFacts:
    """A prefix recording whose sound is kept."""

    speaker: Annotated[int, Meta(ge=1, le=SPEAKERS[-1])]
    samples: Annotated[int, Meta(ge=1, le=MAX_AUDIO_SAMPLES)]  # at the codec's rate


@dataclass(frozen=True)
class ResultFacts:
    """What came out; fields are `None` where the run did not get so far."""

    __repr__ = brief_repr

    stop_reason: str | None = None
    first_word_frame: Count | None = None
    columns: Annotated[int, Meta(ge=0, le=2 * MAX_CALLS)] | None = None  # of the grid
    crop: Count | None = None  # frames cut off the front
    samples: bounds.Samples | None = None
    timestamps: Listed[tuple[str, bounds.Finite, Speaker]] | None = None  # word, seconds in the audio, speaker


@dataclass(frozen=True, kw_only=True)
class Manifest(Head):
    """The manifest of a trace of Dia2."""

    __repr__ = brief_repr

    script: str | None = None  # `None` for streamed text
    run: RunFacts | None = None  # `None` if the run never began
    result: ResultFacts = ResultFacts()
    audio: bool  # there is an audio file
    # Those of the prefix whose sound is there, by speaker; none where it was not kept, and of an earlier dia2.
    recordings: Annotated[list[RecordingFacts], Meta(max_length=len(SPEAKERS))] = field(default_factory=list)
    redacted: bounds.Names = field(default_factory=list)  # what was taken out: voice, text

    def __post_init__(self) -> None:
        """Check the draws; see `Head`."""
        super().__post_init__()
        self.check_draws(draw_names(self.run.model.codebooks if self.run else MAX_CODEBOOKS))
        require("recordings", self.run is None or _fit(self.recordings, self.run))


def _fit(recordings: Sequence[RecordingFacts], run: RunFacts) -> bool:
    """Each is of another speaker of the prefix, in order, and as long as its frames but for a part of one."""
    speakers, frames = [recording.speaker for recording in recordings], run.voice_frames
    if speakers != sorted(set(speakers)) or max(speakers, default=0) > len(frames):
        return False
    frame = run.model.sample_rate / run.model.frame_rate  # in samples
    return all(abs(each.samples - frames[each.speaker - 1] * frame) <= frame for each in recordings)


def parse_manifest(raw: Mapping[str, Any], path: Path) -> Manifest:
    """Check every field; the vectors of edits are read, and checked, when they are asked for.

    Args:
        raw: what is stored.
        path: of the trace.

    Raises:
        TraceError: names the first that is wrong.
    """
    stored = decode(raw, _Stored, path)
    run = None if stored.run is None else RunFacts(**vars(stored.run))
    if run is not None:
        run = replace(run, edits=with_vectors(run.edits, path, run.hashes))
    return Manifest(**(vars(stored) | {"run": run}))


# What is stored in another form: `__post_init__` gives it that of its base class.


class _StoredEntry(NamedTuple):
    text: str
    tokens: list[Annotated[int, Meta(ge=-1)]]
    padding: Count
    speaker: Speaker


@dataclass(frozen=True)
class _StoredSampling:
    temperature: Annotated[float, Meta(ge=0, le=1e4)]
    top_k: Candidates


@dataclass(frozen=True)
class _StoredPrefix:
    speaker_1: str | None = None
    speaker_2: str | None = None
    words_1: str | None = None
    words_2: str | None = None
    include_audio: Any = None


@dataclass(frozen=True)
class _StoredConfig:
    text: _StoredSampling
    audio: _StoredSampling
    cfg_scale: bounds.Scale
    cfg_filter_k: Candidates
    initial_padding: Delay
    prefix: _StoredPrefix | None = None

    def made(self) -> GenerationConfig:
        parts: dict[str, Any] = {name: SamplingConfig(**vars(getattr(self, name))) for name in ("text", "audio")}
        if self.prefix is not None:
            include = self.prefix.include_audio is True
            parts["prefix"] = PrefixConfig(**(vars(self.prefix) | {"include_audio": include}))
        return GenerationConfig(**(vars(self) | parts))


@dataclass(frozen=True, kw_only=True)
class _StoredRun(RunFacts):
    config: _StoredConfig  # type: ignore[assignment]  # see above
    edits: Listed[Any]
    entries: Listed[_StoredEntry]  # type: ignore[assignment]  # likewise

    def __post_init__(self) -> None:
        voices, words = max(1, len(self.voice_frames)), self.prefix_words
        require("seed", self.seed <= bounds.MAX_SEED)
        require("prefix_words", words <= len(self.entries))
        require("voice_frames", not self.voice_frames or sum(self.voice_frames) == self.prefix_frames)
        if any(not 1 <= entry.speaker <= voices for entry in self.entries[:words]):
            raise ValueError("a word of the prefix is of a speaker without a recording")
        require("spoken", len(self.spoken) <= words and all(word.speaker <= voices for word in self.spoken))
        for number, entry in enumerate(self.entries):
            require(f"entries[{number}]", max(entry.tokens, default=-1) < self.model.text_vocabulary)
        edits = [edit_from_json(edit) for edit in self.edits]
        entries = [Entry(**entry._asdict()) for entry in self.entries]
        vars(self).update(config=self.config.made(), edits=edits, entries=entries)


@dataclass(frozen=True, kw_only=True)
class _Stored(Manifest):
    run: _StoredRun | None = None
    audio: Literal["audio.flac"] | None = None  # type: ignore[assignment]  # see above

    def __post_init__(self) -> None:
        super().__post_init__()
        vars(self).update(audio=self.audio == AUDIO_FILE)
