"""`config.json` of a Dia checkpoint, in either published form, as frozen dataclasses.

The first form has the blocks `data`, `model` and `training`; the second, that of `Dia-1.6B-0626`, is transformers'.
Both become one `DiaConfig`, whose blocks carry the second form's names. A field that is missing, ill-typed or
contradicts another is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from dia.limits import check
from dia2.common.checks import short
from dia2.common.errors import CheckpointError
from dia2.common.fields import load_json, read_block

_MULTIPLE = 128  # of which the first form's lengths are rounded up to one


@dataclass(frozen=True)
class DataConfig:
    """Special tokens of text and audio, and the delay pattern."""

    channels: int = 9  # C, codebooks of a frame
    delay_pattern: list[int] = field(
        default_factory=lambda: [0, 8, 9, 10, 11, 12, 13, 14, 15]
    )  # rows, for each channel
    text_pad_value: int = 0
    audio_eos_value: int = 1024  # codes are 0 … eos − 1
    audio_pad_value: int = 1025
    audio_bos_value: int = 1026

    @property
    def max_delay(self) -> int:
        """Rows by which the slowest channel lags."""
        return max(self.delay_pattern)


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder, which reads the text."""

    max_position_embeddings: int = 1024  # S, bytes of text
    num_hidden_layers: int = 12
    hidden_size: int = 1024
    intermediate_size: int = 4096  # inner width of the MLP
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    head_dim: int = 128
    vocab_size: int = 256
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    hidden_act: str = "silu"


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder, which writes the audio."""

    max_position_embeddings: int = 3072  # R, rows of the delayed grid
    num_hidden_layers: int = 18
    hidden_size: int = 2048
    intermediate_size: int = 8192  # inner width of the MLP
    num_attention_heads: int = 16
    num_key_value_heads: int = 4
    head_dim: int = 128
    cross_num_attention_heads: int = 16
    cross_num_key_value_heads: int = 16
    cross_head_dim: int = 128
    cross_hidden_size: int = 1024  # the encoder's width
    vocab_size: int = 1028  # V, codes and special tokens of a channel
    num_channels: int = 9
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    hidden_act: str = "silu"


@dataclass(frozen=True)
class ModelConfig:
    """Both stacks, and what they share."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    rope_min_timescale: float = 1.0
    dropout: float = 0.0  # of training
    weight_dtype: str = "float32"  # in the published files, unused at run time


@dataclass(frozen=True)
class TrainingConfig:
    """How the checkpoint was trained; unused at run time."""

    dtype: str = "bfloat16"
    logits_dot_in_fp32: bool = False  # the runtime always computes logits in float32


@dataclass(frozen=True)
class DiaConfig:
    """The whole of it."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def load_config(path: str | Path) -> DiaConfig:
    """Read and check a `config.json`.

    Raises:
        CheckpointError: the file is missing, is not JSON, or a field is missing, ill-typed or contradictory.
    """
    return parse_config(load_json(path), str(path))


def parse_config(raw: object, where: str = "config.json") -> DiaConfig:
    """Build a config from parsed JSON; `where` names it in errors (raised as in `load_config`)."""
    if not isinstance(raw, dict):
        raise CheckpointError(f"{where}: the file must be an object with the config of a Dia model.")
    called = _second_name
    if "encoder_config" in raw and "decoder_config" in raw:
        config = _second_form(raw, where)
    elif "data" in raw and "model" in raw:
        config, called = _first_form(raw, where), _first_name
    else:
        raise CheckpointError(
            f"{where} has neither encoder_config and decoder_config nor data and model: give the config of a Dia model."
        )
    check(config, where, called)
    return config


# The second form: transformers' names


@dataclass(frozen=True)
class _Top:
    """What stands beside the two stacks."""

    delay_pattern: list[int] = field(default_factory=lambda: DataConfig().delay_pattern)
    eos_token_id: int = 1024
    pad_token_id: int = 1025
    bos_token_id: int = 1026


_SPECIALS = ("eos_token_id", "pad_token_id", "bos_token_id")


def _second_form(raw: Mapping[str, Any], where: str) -> DiaConfig:
    stacks = {}
    for name in ("encoder_config", "decoder_config"):
        block = raw[name]
        if isinstance(block, dict):
            block = _with_rope(block, f"{where}: {name}")
        stacks[name] = block
    top = read_block(_Top, _with_specials(raw, stacks["decoder_config"]), where, model="a Dia")
    decoder = read_block(DecoderConfig, stacks["decoder_config"], where, "decoder_config.", model="a Dia")
    data = DataConfig(
        channels=decoder.num_channels,
        delay_pattern=top.delay_pattern,
        audio_eos_value=top.eos_token_id,
        audio_pad_value=top.pad_token_id,
        audio_bos_value=top.bos_token_id,
    )
    encoder = read_block(EncoderConfig, stacks["encoder_config"], where, "encoder_config.", model="a Dia")
    return DiaConfig(data, ModelConfig(encoder, decoder))


def _with_specials(raw: Mapping[str, Any], decoder: object) -> Mapping[str, Any]:
    """The file with eos, pad and bos at its top, where newer versions of transformers write null."""
    inner = decoder if isinstance(decoder, dict) else {}
    given = {name: value for name, value in raw.items() if name not in _SPECIALS}
    for name in _SPECIALS:
        value = raw.get(name) if raw.get(name) is not None else inner.get(name)
        if value is not None:
            given[name] = value
    return given


def _with_rope(block: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The block with `rope_theta` where newer versions of transformers put it into `rope_parameters`."""
    rope = block.get("rope_parameters") or block.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else rope
    if kind != "default":
        raise CheckpointError(f"{where} asks for rotary positions of kind {short(kind)}; only the default is known.")
    return {**block, "rope_theta": rope["rope_theta"]} if "rope_theta" in rope else block


# The first form: blocks data, model and training


@dataclass(frozen=True)
class _FirstData:
    text_length: int
    audio_length: int
    channels: int = 9
    text_pad_value: int = 0
    audio_eos_value: int = 1024
    audio_pad_value: int = 1025
    audio_bos_value: int = 1026
    delay_pattern: list[int] = field(default_factory=lambda: DataConfig().delay_pattern)


@dataclass(frozen=True)
class _FirstEncoder:
    n_layer: int
    n_embd: int
    n_hidden: int
    n_head: int
    head_dim: int


@dataclass(frozen=True)
class _FirstDecoder:
    n_layer: int
    n_embd: int
    n_hidden: int
    gqa_query_heads: int
    kv_heads: int
    gqa_head_dim: int
    cross_query_heads: int
    cross_head_dim: int


@dataclass(frozen=True)
class _FirstModel:
    encoder: _FirstEncoder
    decoder: _FirstDecoder
    src_vocab_size: int = 128
    tgt_vocab_size: int = 1028
    dropout: float = 0.0
    normalization_layer_epsilon: float = 1e-5
    weight_dtype: str = "float32"
    rope_min_timescale: float = 1.0
    rope_max_timescale: float = 10000.0


@dataclass(frozen=True)
class _FirstForm:
    data: _FirstData
    model: _FirstModel
    training: TrainingConfig = field(default_factory=TrainingConfig)


# Where the first form has what the second calls so.
_FIRST_NAMES = {
    "encoder": {
        "max_position_embeddings": "data.text_length",
        "num_hidden_layers": "model.encoder.n_layer",
        "hidden_size": "model.encoder.n_embd",
        "intermediate_size": "model.encoder.n_hidden",
        "num_attention_heads": "model.encoder.n_head",
        "num_key_value_heads": "model.encoder.n_head",
        "head_dim": "model.encoder.head_dim",
        "vocab_size": "model.src_vocab_size",
    },
    "decoder": {
        "max_position_embeddings": "data.audio_length",
        "num_hidden_layers": "model.decoder.n_layer",
        "hidden_size": "model.decoder.n_embd",
        "intermediate_size": "model.decoder.n_hidden",
        "num_attention_heads": "model.decoder.gqa_query_heads",
        "num_key_value_heads": "model.decoder.kv_heads",
        "head_dim": "model.decoder.gqa_head_dim",
        "vocab_size": "model.tgt_vocab_size",
        "cross_num_attention_heads": "model.decoder.cross_query_heads",
        "cross_num_key_value_heads": "model.decoder.cross_query_heads",
        "cross_head_dim": "model.decoder.cross_head_dim",
        "cross_hidden_size": "model.encoder.n_embd",
        "num_channels": "data.channels",
    },
}
_FIRST_SHARED = {"norm_eps": "model.normalization_layer_epsilon", "rope_theta": "model.rope_max_timescale"}


def _first_form(raw: Mapping[str, Any], where: str) -> DiaConfig:
    given = read_block(_FirstForm, raw, where, model="a Dia")
    data, model = given.data, given.model
    return DiaConfig(
        DataConfig(
            channels=data.channels,
            delay_pattern=data.delay_pattern,
            text_pad_value=data.text_pad_value,
            audio_eos_value=data.audio_eos_value,
            audio_pad_value=data.audio_pad_value,
            audio_bos_value=data.audio_bos_value,
        ),
        ModelConfig(
            EncoderConfig(**_first_stack(given, "encoder")),
            DecoderConfig(**_first_stack(given, "decoder")),
            model.rope_min_timescale,
            model.dropout,
            model.weight_dtype,
        ),
        given.training,
    )


def _first_stack(given: _FirstForm, stack: str) -> dict[str, Any]:
    """The fields of a stack, by the second form's names."""
    values = {key: attrgetter(name)(given) for key, name in (_FIRST_NAMES[stack] | _FIRST_SHARED).items()}
    return values | {"max_position_embeddings": _rounded_up(values["max_position_embeddings"])}


def _first_name(stack: str, key: str) -> str:
    """What the first form calls a field of a stack."""
    return (_FIRST_NAMES[stack] | _FIRST_SHARED)[key]


def _second_name(stack: str, key: str) -> str:
    """What the second form calls it."""
    return f"{stack}_config.{key}"


def _rounded_up(length: int) -> int:
    return -(-length // _MULTIPLE) * _MULTIPLE if length > 0 else length
