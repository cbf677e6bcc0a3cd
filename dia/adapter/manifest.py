"""The manifest of a trace of Dia, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from dia.adapter.layout import CHANNEL, MAX_SCRIPTS, MAX_TEXT
from dia.generation import GenerationConfig, StopReason
from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import MAX_CODEBOOKS
from dia2.inspect.store.layout import MANIFEST, MAX_CALLS, MAX_VOCABULARY, audio_name
from dia2.inspect.store.manifest import Head, Reader, parse_hashes, parse_head


@dataclass(frozen=True)
class DiaModelFacts:
    """What a reader needs to know of the checkpoint without having it."""

    __repr__ = brief_repr

    channels: int  # C
    delays: list[int]  # [C] rows by which each channel lags
    vocabulary: int  # V, codes and special tokens of a channel
    eos: int  # codes are 0 … eos − 1
    pad: int
    bos: int
    text_vocabulary: int
    encoder_positions: int  # bytes of text
    decoder_positions: int  # rows of the delayed grid
    encoder_width: int
    encoder_layers: int
    decoder_layers: int
    heads: int  # of the decoder's self-attention
    kv_heads: int  # likewise
    cross_heads: int  # of its cross-attention
    sample_rate: int | None  # Hz; `None` without a codec
    frame_rate: float | None  # frames a second; `None` without a codec
    device: str
    dtype: str

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
    seed: int  # of the first script; the next ones have the next
    scripts: list[str]
    text_bytes: list[list[int]]  # as encoded: tags are 1 and 2, what is too long is cut off
    prefill_steps: list[int]  # rows that are given
    rows: int  # that the run may fill

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

    steps: int | None = None  # of the loop
    lengths: list[int] | None = None  # frames
    stop_reasons: list[str] | None = None  # eos, max_tokens or interrupted
    ended_at: list[int | None] | None = None  # row of the end, drawn or forced
    samples: list[int] | None = None  # of those that are decoded


@dataclass(frozen=True)
class DiaManifest(Head):
    """A trace's manifest."""

    __repr__ = brief_repr

    run: DiaRunFacts | None  # `None` if the run never began
    result: DiaResultFacts
    audio: list[str | None]  # name of each script's file; `None` where there is no sound


def parse_dia_manifest(raw: Mapping[str, Any], path: Path) -> DiaManifest:
    """Check every field.

    Raises:
        TraceError: names the first that is wrong.
    """
    at = Reader(raw, path)
    run = None if raw.get("run") is None else _run(at.inner("run"))
    channels = MAX_CODEBOOKS if run is None else run.model.channels
    scripts = 0 if run is None else run.batch
    return DiaManifest(
        **vars(parse_head(at, {f"{CHANNEL}{c}" for c in range(channels)})),
        run=run,
        result=DiaResultFacts() if raw.get("result") is None else _result(at.inner("result"), run),
        audio=_audio(at, scripts),
    )


def _audio(at: Reader, scripts: int) -> list[str | None]:
    if at.raw.get("audio") is None:
        return [None] * scripts
    names = at.rows("audio", scripts)
    if len(names) != scripts or any(name not in (None, audio_name(i, scripts)) for i, name in enumerate(names)):
        raise at.bad("audio")
    return names


def _run(at: Reader) -> DiaRunFacts:
    model = _model(at.inner("model"))
    scripts = at.texts("scripts")
    if not 1 <= len(scripts) <= MAX_SCRIPTS:
        raise at.bad("scripts")
    rows = at.integer("rows", 2, model.decoder_positions)
    prefill_steps = at.integers("prefill_steps", 1, rows - 1)
    texts = at.texts("text_bytes")
    if len(prefill_steps) != len(scripts) or len(texts) != len(scripts):
        raise at.bad("prefill_steps" if len(prefill_steps) != len(scripts) else "text_bytes")
    return DiaRunFacts(
        hashes=parse_hashes(at),
        model=model,
        config=_config(at.inner("config")),
        seed=at.integer("seed", 0, 2**64 - 1),
        scripts=scripts,
        text_bytes=[_bytes(text, at, model) for text in texts],
        prefill_steps=prefill_steps,
        rows=rows,
    )


def _bytes(text: str, at: Reader, model: DiaModelFacts) -> list[int]:
    try:
        found = list(bytes.fromhex(text))
    except ValueError as error:
        raise at.bad("text_bytes") from error
    if not 0 < len(found) <= min(MAX_TEXT, model.encoder_positions) or max(found) >= model.text_vocabulary:
        raise at.bad("text_bytes")
    return found


def _model(at: Reader) -> DiaModelFacts:
    channels = at.integer("channels", 1, MAX_CODEBOOKS)
    delays = at.integers("delays", 0, 10_000)
    if len(delays) != channels:
        raise at.bad("delays")
    vocabulary = at.integer("vocabulary", 2, MAX_VOCABULARY)
    with_codec = at.raw.get("sample_rate") is not None
    return DiaModelFacts(
        channels=channels,
        delays=delays,
        vocabulary=vocabulary,
        eos=at.integer("eos", 1, vocabulary - 1),
        pad=at.integer("pad", 1, vocabulary - 1),
        bos=at.integer("bos", 1, vocabulary - 1),
        text_vocabulary=at.integer("text_vocabulary", 3, 1 << 24),
        encoder_positions=at.integer("encoder_positions", 1, 1 << 24),
        decoder_positions=at.integer("decoder_positions", 2, MAX_CALLS),
        encoder_width=at.integer("encoder_width", 1, 1 << 24),
        encoder_layers=at.integer("encoder_layers", 1, 10_000),
        decoder_layers=at.integer("decoder_layers", 1, 10_000),
        heads=at.integer("heads", 1, 10_000),
        kv_heads=at.integer("kv_heads", 1, 10_000),
        cross_heads=at.integer("cross_heads", 1, 10_000),
        sample_rate=at.integer("sample_rate", 1, 1_000_000) if with_codec else None,
        frame_rate=at.number("frame_rate", 0.01, 100_000) if with_codec else None,
        device=at.text("device"),
        dtype=at.text("dtype"),
    )


def _config(at: Reader) -> GenerationConfig:
    try:
        return GenerationConfig(
            max_tokens=at.optional_integer("max_tokens", 2, 1 << 30),
            cfg_scale=at.number("cfg_scale", 0, 1e9),
            temperature=at.number("temperature", 0, 1e9),
            top_p=at.number("top_p", 0, 1),
            cfg_filter_top_k=at.integer("cfg_filter_top_k", 1, 1 << 30),
            use_torch_compile=at.raw.get("use_torch_compile") is True,
            use_cuda_graph=at.raw.get("use_cuda_graph") is True,
        )
    except UsageError as error:
        raise TraceError(f"{at.path / MANIFEST} is damaged: {error}") from error


def _result(at: Reader, run: DiaRunFacts | None) -> DiaResultFacts:
    if run is None:
        raise TraceError(f"{at.path / MANIFEST} is damaged: it has a result of no run.")

    def listed(name: str, most: int, *, shorter: bool = False) -> list[Any] | None:
        if at.raw.get(name) is None:
            return None
        values = at.integers(name, 0, most)
        if len(values) != run.batch and not (shorter and len(values) < run.batch):
            raise at.bad(name)
        return values

    reasons = None if at.raw.get("stop_reasons") is None else at.texts("stop_reasons")
    if reasons is not None and (len(reasons) != run.batch or not set(reasons) <= set(get_args(StopReason))):
        raise at.bad("stop_reasons")
    ends = at.raw.get("ended_at")
    if ends is not None:
        ends = at.rows("ended_at", run.batch)
        if len(ends) != run.batch or not all(_is_row(end, run) for end in ends):
            raise TraceError(f"{at.path / MANIFEST} is damaged: result.ended_at is {short(ends)}.")
    return DiaResultFacts(
        steps=at.optional_integer("steps", 0, run.rows),
        lengths=listed("lengths", run.rows),
        stop_reasons=reasons,
        ended_at=ends,
        samples=listed("samples", 1 << 40, shorter=True),
    )


def _is_row(value: object, run: DiaRunFacts) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= run.rows)
