"""The manifest of a trace of Dia2, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dia2.adapter.layout import MAX_PREFIX_FRAMES
from dia2.common.brief import brief_repr
from dia2.common.checks import is_number, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.generation import GenerationConfig, PrefixConfig, SamplingConfig
from dia2.inspect.store.layout import AUDIO_FILE, MANIFEST, MAX_CALLS, MAX_VOCABULARY
from dia2.inspect.store.manifest import Head, Reader, parse_hashes, parse_head
from dia2.runtime.edits import Edit, edit_from_json
from dia2.runtime.state_machine import Entry, TokenIds


@dataclass(frozen=True)
class ModelFacts:
    """What a reader needs to know of the checkpoint without having it."""

    __repr__ = brief_repr

    codebooks: int  # K
    delays: list[int]  # grid columns by which codebook k lags
    branches: int  # 2 with guidance, else 1
    text_vocabulary: int
    audio_vocabulary: int  # codes, pad and BOS
    actions: int
    codes: int  # a codebook's
    second_stream_ahead: int
    max_padding: int
    max_context_steps: int
    frame_rate: float  # frames a second
    sample_rate: int  # Hz
    layers: int
    heads: int
    kv_heads: int
    depformer_layers: int
    device: str
    dtype: str
    tokens: TokenIds


@dataclass(frozen=True)
class SpokenWord:
    """A word of a prefix recording, as it was heard or given."""

    text: str
    start: float  # seconds from the start of its speaker's recording
    end: float
    speaker: int  # 1 or 2


@dataclass(frozen=True)
class RunFacts:
    """What decided the run."""

    __repr__ = brief_repr

    hashes: dict[str, str | None]  # SHA-256 of config, weights, tokenizer, codec; `None` where not local
    model: ModelFacts
    config: GenerationConfig  # before any edit; its prefix names files that need not be here
    seed: int
    edits: list[Edit]
    forked_at: int | None  # up to this call the run repeated another one's choices
    entries: list[Entry]  # prefix first
    prefix_words: int  # how many of `entries` belong to the prefix
    prefix_frames: int
    voice_frames: list[int]  # of each prefix recording, which add up to `prefix_frames`
    spoken: list[SpokenWord]  # the prefix's words with their times; may be shorter than `prefix_words` for old voices


@dataclass(frozen=True)
class ResultFacts:
    """What came out; fields are `None` where the run did not get so far."""

    __repr__ = brief_repr

    stop_reason: str | None = None
    first_word_frame: int | None = None
    columns: int | None = None  # of the grid
    crop: int | None = None  # frames cut off the front
    samples: int | None = None
    timestamps: list[tuple[str, float, int]] | None = None  # word, seconds in the audio, speaker


@dataclass(frozen=True)
class Manifest(Head):
    """The manifest of a trace of Dia2."""

    __repr__ = brief_repr

    script: str | None  # none for streamed text
    run: RunFacts | None  # `None` if the run never began
    result: ResultFacts
    audio: bool  # there is an audio file
    redacted: list[str]  # what was taken out: voice, text


def parse_manifest(raw: Mapping[str, Any], path: Path) -> Manifest:
    """Check every field."""
    at = Reader(raw, path)
    audio = raw.get("audio")
    if audio not in (None, AUDIO_FILE):
        raise at.bad("audio")
    run = None if raw.get("run") is None else _run(at.inner("run"))
    known = {"action", "cb0", *(f"dep.{k}" for k in range(1, run.model.codebooks if run else MAX_CODEBOOKS))}
    return Manifest(
        **vars(parse_head(at, known)),
        script=at.optional_text("script"),
        run=run,
        result=ResultFacts() if raw.get("result") is None else _result(at.inner("result")),
        audio=audio is not None,
        redacted=at.texts("redacted") if "redacted" in raw else [],
    )


def _run(at: Reader) -> RunFacts:
    model = _model(at.inner("model"))
    entries = [_entry(row, at, model) for row in at.rows("entries", MAX_CALLS)]
    try:
        edits = [edit_from_json(edit) for edit in at.rows("edits", MAX_CALLS)]
    except (UsageError, TypeError) as error:  # TypeError: a kind that is a list
        raise TraceError(f"{at.path / MANIFEST} is damaged: {error}") from error
    run = RunFacts(
        hashes=parse_hashes(at),
        model=model,
        config=_config(at.inner("config")),
        seed=at.integer("seed", 0, 2**64 - 1),
        edits=edits,
        forked_at=at.optional_integer("forked_at", 0, MAX_CALLS),
        entries=entries,
        prefix_words=at.integer("prefix_words", 0, len(entries)),
        prefix_frames=at.integer("prefix_frames", 0, MAX_PREFIX_FRAMES),
        voice_frames=at.integers("voice_frames", 0, MAX_PREFIX_FRAMES),
        spoken=[_spoken(row, at) for row in at.rows("spoken", MAX_CALLS)],
    )
    _check_prefix(run, at)
    return run


def _check_prefix(run: RunFacts, at: Reader) -> None:
    """Refuse words and recordings of a prefix that do not go together.

    Raises:
        TraceError: names what does not.
    """
    voices = len(run.voice_frames)
    if voices > 2 or (voices and sum(run.voice_frames) != run.prefix_frames):
        raise at.bad("voice_frames")
    prefix = run.entries[: run.prefix_words]
    if any(not 1 <= entry.speaker <= max(1, voices) for entry in prefix):
        raise TraceError(f"{at.path / MANIFEST} is damaged: a word of the prefix is of a speaker without a recording.")
    if len(run.spoken) > run.prefix_words or any(word.speaker > max(1, voices) for word in run.spoken):
        raise at.bad("spoken")


def _model(at: Reader) -> ModelFacts:
    codebooks = at.integer("codebooks", 1, MAX_CODEBOOKS)
    delays = at.integers("delays", 0, 10_000)
    if len(delays) != codebooks:
        raise at.bad("delays")
    text, audio = at.integer("text_vocabulary", 1, 1 << 24), at.integer("audio_vocabulary", 1, MAX_VOCABULARY)
    ids = at.inner("tokens")
    tokens = {field.name: ids.integer(field.name, -10, max(text, audio) - 1) for field in fields(TokenIds)}
    if not all(0 <= tokens[name] < audio for name in ("audio_pad", "audio_bos")) or tokens["ungenerated"] >= 0:
        raise at.bad("tokens")
    return ModelFacts(
        codebooks=codebooks,
        delays=delays,
        branches=at.integer("branches", 1, 2),
        text_vocabulary=text,
        audio_vocabulary=audio,
        actions=at.integer("actions", 1, MAX_VOCABULARY),
        codes=at.integer("codes", 1, audio),
        second_stream_ahead=at.integer("second_stream_ahead", 0, 1000),
        max_padding=at.integer("max_padding", 0, 10_000),
        max_context_steps=at.integer("max_context_steps", 1, MAX_CALLS),
        frame_rate=at.number("frame_rate", 0.01, 100_000),
        sample_rate=at.integer("sample_rate", 1, 1_000_000),
        layers=at.integer("layers", 1, 10_000),
        heads=at.integer("heads", 1, 10_000),
        kv_heads=at.integer("kv_heads", 1, 10_000),
        depformer_layers=at.integer("depformer_layers", 0, 10_000),
        device=at.text("device"),
        dtype=at.text("dtype"),
        tokens=TokenIds(**tokens),
    )


def _config(at: Reader) -> GenerationConfig:
    def sampling(name: str) -> SamplingConfig:
        inner = at.inner(name)
        return SamplingConfig(inner.number("temperature", 0, 1e4), inner.integer("top_k", -(2**31), 2**31))

    prefix = None
    if at.raw.get("prefix") is not None:
        inner = at.inner("prefix")
        prefix = PrefixConfig(
            speaker_1=inner.optional_text("speaker_1"),
            speaker_2=inner.optional_text("speaker_2"),
            words_1=inner.optional_text("words_1"),
            words_2=inner.optional_text("words_2"),
            include_audio=inner.raw.get("include_audio") is True,
        )
    try:
        return GenerationConfig(
            text=sampling("text"),
            audio=sampling("audio"),
            cfg_scale=at.number("cfg_scale", 0, 1e9),
            cfg_filter_k=at.integer("cfg_filter_k", -(2**31), 2**31),
            initial_padding=at.integer("initial_padding", 0, 10_000),
            prefix=prefix,
        )
    except UsageError as error:
        raise TraceError(f"{at.path / MANIFEST} is damaged: {error}") from error


def _is_int(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _entry(row: object, at: Reader, model: ModelFacts) -> Entry:
    if isinstance(row, list) and len(row) == 4:
        text, tokens, padding, speaker = row
        if (
            isinstance(text, str)
            and isinstance(tokens, list)
            and all(_is_int(token, -1, model.text_vocabulary - 1) for token in tokens)
            and _is_int(padding, 0, MAX_CALLS)
            and _is_int(speaker, 0, 2)
        ):
            return Entry(tokens=tokens, text=text, padding=padding, speaker=speaker)
    raise TraceError(f"{at.path / MANIFEST} is damaged: {short(row)} is no entry.")


def _spoken(row: object, at: Reader) -> SpokenWord:
    if isinstance(row, dict):
        inner = Reader(row, at.path, "run.spoken.")
        start, end = inner.number("start", 0, 1e5), inner.number("end", 0, 1e5)
        return SpokenWord(inner.text("text"), start, end, inner.integer("speaker", 1, 2))
    raise TraceError(f"{at.path / MANIFEST} is damaged: {short(row)} is no prefix word.")


def _result(at: Reader) -> ResultFacts:
    timestamps = None
    if at.raw.get("timestamps") is not None:
        timestamps = [_timestamp(row, at) for row in at.rows("timestamps", MAX_CALLS)]
    return ResultFacts(
        stop_reason=at.optional_text("stop_reason"),
        first_word_frame=at.optional_integer("first_word_frame", 0, MAX_CALLS),
        columns=at.optional_integer("columns", 0, 2 * MAX_CALLS),
        crop=at.optional_integer("crop", 0, MAX_CALLS),
        samples=at.optional_integer("samples", 0, 1 << 40),
        timestamps=timestamps,
    )


def _timestamp(row: object, at: Reader) -> tuple[str, float, int]:
    if isinstance(row, list) and len(row) == 3:
        text, seconds, speaker = row
        if isinstance(text, str) and is_number(seconds) and _is_int(speaker, 0, 2):
            return text, float(seconds), speaker
    raise TraceError(f"{at.path / MANIFEST} is damaged: {short(row)} is no word with its time.")
