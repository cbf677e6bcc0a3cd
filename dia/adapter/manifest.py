"""The manifest of a trace of Dia."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from dia.adapter.layout import CHANNEL, MAX_SCRIPTS, MAX_TEXT
from dia.generation import GenerationConfig, StopReason
from dia2.common.brief import brief_repr
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.inspect.store import bounds
from dia2.inspect.store.bounds import Count, Layers, Size
from dia2.inspect.store.layout import MAX_CALLS, MAX_VOCABULARY, audio_name
from dia2.inspect.store.manifest import Head, decode, require

T = TypeVar("T")
Token = Annotated[int, Meta(ge=1)]  # below the vocabulary
Row = Annotated[int, Meta(ge=1)]  # below those of the run
Scripts = Annotated[list[T], Meta(max_length=MAX_SCRIPTS)]


@dataclass(frozen=True, kw_only=True)
class DiaModelFacts:
    """What a reader needs to know of the checkpoint without having it."""

    __repr__ = brief_repr

    channels: bounds.Codebooks  # C
    delays: bounds.Delays  # [C] rows by which each channel lags
    vocabulary: Annotated[int, Meta(ge=2, le=MAX_VOCABULARY)]  # V, codes and special tokens of a channel
    eos: Token  # codes are 0 … eos − 1
    pad: Token
    bos: Token
    text_vocabulary: Annotated[int, Meta(ge=3, le=1 << 24)]
    encoder_positions: Size  # bytes of text
    decoder_positions: Annotated[int, Meta(ge=2, le=MAX_CALLS)]  # rows of the delayed grid
    encoder_width: Size
    encoder_layers: Layers
    decoder_layers: Layers
    heads: Layers  # of the decoder's self-attention
    kv_heads: Layers  # likewise
    cross_heads: Layers  # of its cross-attention
    sample_rate: bounds.SampleRate | None = None  # Hz; `None` without a codec
    frame_rate: bounds.FrameRate | None = None  # frames a second; `None` without a codec
    device: str
    dtype: str

    def __post_init__(self) -> None:
        """Check what has to do with each other."""
        require("delays", len(self.delays) == self.channels)
        require("frame_rate", (self.frame_rate is None) == (self.sample_rate is None))
        for name in ("eos", "pad", "bos"):
            require(name, getattr(self, name) < self.vocabulary)

    @property
    def max_delay(self) -> int:
        """Rows by which the slowest channel lags."""
        return max(self.delays)


@dataclass(frozen=True)
class DiaRunFacts:
    """What decided the run. Lists have one item per script."""

    __repr__ = brief_repr

    hashes: dict[str, str | None]  # SHA-256 of config, weights, codec; `None` where not local
    model: DiaModelFacts
    config: GenerationConfig
    seed: bounds.Seed  # of the first script; the next ones have the next
    scripts: Annotated[list[str], Meta(min_length=1, max_length=MAX_SCRIPTS)]
    text_bytes: Scripts[list[int]]  # as encoded: tags are 1 and 2, what is too long is cut off
    prefill_steps: Scripts[Row]  # rows that are given
    rows: Annotated[int, Meta(ge=2)]  # that the run may fill

    @property
    def batch(self) -> int:
        """B, scripts."""
        return len(self.scripts)

    @property
    def text_length(self) -> int:
        """S, positions of the text, padding included."""
        return max(map(len, self.text_bytes))


@dataclass(frozen=True)
class DiaResultFacts:
    """What came out; fields are `None` where the run did not get so far. Lists have one item per script."""

    __repr__ = brief_repr

    steps: Count | None = None  # of the loop
    lengths: Scripts[Count] | None = None  # frames
    stop_reasons: Scripts[StopReason] | None = None
    ended_at: Scripts[Count | None] | None = None  # row of the end, drawn or forced
    samples: Scripts[bounds.Samples] | None = None  # of those that are decoded

    def check(self, run: DiaRunFacts) -> None:
        """Refuse what cannot have come out of `run`.

        Raises:
            BadFieldError: names it.
        """
        require("result.samples", len(self.samples or ()) <= run.batch)
        for name in ("lengths", "stop_reasons", "ended_at"):
            value = getattr(self, name)
            require(f"result.{name}", value is None or len(value) == run.batch)
        for name, rows in (("steps", [self.steps]), ("lengths", self.lengths), ("ended_at", self.ended_at)):
            require(f"result.{name}", all(row is None or row <= run.rows for row in rows or ()))


@dataclass(frozen=True, kw_only=True)
class DiaManifest(Head):
    """A trace's manifest."""

    __repr__ = brief_repr

    run: DiaRunFacts | None = None  # `None` if the run never began
    result: DiaResultFacts = DiaResultFacts()
    audio: Scripts[str | None] = field(default_factory=list)  # name of each script's file; `None`: no sound

    def __post_init__(self) -> None:
        """Check draws, sound and result by the run; see `Head`."""
        super().__post_init__()
        run = self.run
        self.check_draws([f"{CHANNEL}{c}" for c in range(run.model.channels if run else MAX_CODEBOOKS)])
        scripts = run.batch if run else 0
        names = self.audio or [None] * scripts
        require("audio", len(names) == scripts)
        require("audio", all(name in (None, audio_name(i, scripts)) for i, name in enumerate(names)))
        vars(self).update(audio=names)
        if run:
            self.result.check(run)
        elif self.result != DiaResultFacts():
            raise ValueError("it has a result of no run")


def parse_dia_manifest(raw: Mapping[str, Any], path: Path) -> DiaManifest:
    """Check every field.

    Raises:
        TraceError: names the first that is wrong.
    """
    stored = decode(raw, _Stored, path)
    run = None if stored.run is None else DiaRunFacts(**vars(stored.run))
    return DiaManifest(**(vars(stored) | {"run": run}))


# What is stored in another form: `__post_init__` gives it that of its base class.


@dataclass(frozen=True)
class _StoredConfig:
    cfg_scale: bounds.Scale
    temperature: bounds.Scale
    top_p: Annotated[float, Meta(ge=0, le=1)]
    cfg_filter_top_k: Annotated[int, Meta(ge=1, le=1 << 30)]
    max_tokens: Annotated[int, Meta(ge=2, le=1 << 30)] | None = None
    use_torch_compile: Any = None
    use_cuda_graph: Any = None


@dataclass(frozen=True)
class _StoredRun(DiaRunFacts):
    config: _StoredConfig  # type: ignore[assignment]  # see above
    text_bytes: Scripts[Annotated[str, Meta(pattern=r"^(?:[0-9a-fA-F]{2})++\Z")]]  # type: ignore[assignment]  # likewise

    def __post_init__(self) -> None:
        model, texts = self.model, [list(bytes.fromhex(text)) for text in self.text_bytes]
        require("seed", self.seed <= bounds.MAX_SEED)
        require("rows", self.rows <= model.decoder_positions)
        require("prefill_steps", len(self.prefill_steps) == self.batch and max(self.prefill_steps) < self.rows)
        require("text_bytes", len(texts) == self.batch)
        for i, text in enumerate(texts):
            fits = len(text) <= min(MAX_TEXT, model.encoder_positions) and max(text) < model.text_vocabulary
            require(f"text_bytes[{i}]", fits)
        switches = {name: getattr(self.config, name) is True for name in ("use_torch_compile", "use_cuda_graph")}
        vars(self).update(config=GenerationConfig(**(vars(self.config) | switches)), text_bytes=texts)


@dataclass(frozen=True, kw_only=True)
class _Stored(DiaManifest):
    run: _StoredRun | None = None
