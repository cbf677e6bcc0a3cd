"""`config.json` of a Dia checkpoint, in either published form, as frozen dataclasses.

The first form has the blocks `data`, `model` and `training`; the second, that of `Dia-1.6B-0626`, is transformers'.
Both become one `DiaConfig`, whose blocks carry the second form's names. A field that is missing, ill-typed or
contradicts another is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from dia.limits import check
from dia2.common.checks import short
from dia2.common.errors import CheckpointError
from dia2.common.fields import Layers, Size, load_json, read_block, value_at

_MULTIPLE = 128  # of which the first form's lengths are rounded up to one
_A_DIA = "a Dia"  # model's config, as errors say


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

    max_position_embeddings: Size = 1024  # S, bytes of text
    num_hidden_layers: Layers = 12
    hidden_size: Size = 1024
    intermediate_size: Size = 4096  # inner width of the MLP
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    head_dim: Size = 128
    vocab_size: Size = 256
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    hidden_act: str = "silu"


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder, which writes the audio."""

    max_position_embeddings: Size = 3072  # R, rows of the delayed grid
    num_hidden_layers: Layers = 18
    hidden_size: Size = 2048
    intermediate_size: Size = 8192  # inner width of the MLP
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 4
    head_dim: Size = 128
    cross_num_attention_heads: Size = 16
    cross_num_key_value_heads: Size = 16
    cross_head_dim: Size = 128
    cross_hidden_size: Size = 1024  # the encoder's width
    vocab_size: Size = 1028  # V, codes and special tokens of a channel
    num_channels: int = 9
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    hidden_act: str = "silu"


Stack = TypeVar("Stack", EncoderConfig, DecoderConfig)


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

_SPECIALS = {"audio_eos_value": "eos_token_id", "audio_pad_value": "pad_token_id", "audio_bos_value": "bos_token_id"}
_SECOND_DATA = _SPECIALS | {"channels": "decoder_config.num_channels", "delay_pattern": "delay_pattern"}


def _second_form(raw: Mapping[str, Any], where: str) -> DiaConfig:
    encoder = read_block(
        EncoderConfig, _with_rope(raw, "encoder_config", where), where, "encoder_config.", model=_A_DIA
    )
    given = _with_rope(raw, "decoder_config", where)
    decoder = read_block(DecoderConfig, given, where, "decoder_config.", model=_A_DIA)
    data = {"channels": decoder.num_channels}
    if "delay_pattern" in raw:
        data["delay_pattern"] = raw["delay_pattern"]
    for name, theirs in _SPECIALS.items():  # newer versions of transformers write null here, and them into the decoder
        value = given.get(theirs) if raw.get(theirs) is None else raw[theirs]
        if value is not None:
            data[name] = value
    read = read_block(DataConfig, data, where, model=_A_DIA, names=_SECOND_DATA)
    return DiaConfig(read, ModelConfig(encoder, decoder))


def _with_rope(raw: Mapping[str, Any], name: str, where: str) -> Any:
    """The block of this name, with `rope_theta` where newer versions of transformers put it into `rope_parameters`."""
    block = raw[name]
    if not isinstance(block, dict):  # `read_block` says so
        return block
    rope = block.get("rope_parameters") or block.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else rope
    if kind != "default":
        raise CheckpointError(
            f"{where}: {name} asks for rotary positions of kind {short(kind)}; only the default is known."
        )
    return {**block, "rope_theta": rope["rope_theta"]} if "rope_theta" in rope else block


def _second_name(stack: str, key: str) -> str:
    """What the second form calls a field of a stack."""
    return f"{stack}_config.{key}"


# The first form: blocks data, model and training

# Where it has what the second calls so.
_FIRST_SHARED = {"norm_eps": "model.normalization_layer_epsilon", "rope_theta": "model.rope_max_timescale"}
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
        **_FIRST_SHARED,
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
        **_FIRST_SHARED,
    },
}
_FIRST_DEFAULTS = {  # all else must be there
    "data.channels": 9,
    "model.src_vocab_size": 128,
    "model.tgt_vocab_size": 1028,
    "model.normalization_layer_epsilon": 1e-5,
    "model.rope_max_timescale": 10000.0,
}


def _first_form(raw: Mapping[str, Any], where: str) -> DiaConfig:
    encoder = _first_stack(EncoderConfig, "encoder", raw, where)
    decoder = _first_stack(DecoderConfig, "decoder", raw, where)
    data = read_block(DataConfig, raw["data"], where, "data.", model=_A_DIA)
    shared = read_block(ModelConfig, raw["model"] | {"encoder": {}, "decoder": {}}, where, "model.", model=_A_DIA)
    training = read_block(TrainingConfig, raw.get("training", {}), where, "training.", model=_A_DIA)
    return DiaConfig(data, replace(shared, encoder=encoder, decoder=decoder), training)


def _first_stack(kind: type[Stack], name: str, raw: Mapping[str, Any], where: str) -> Stack:
    """A stack, each of its fields from where the first form has it; lengths are rounded up."""
    names = _FIRST_NAMES[name]
    given = {key: value_at(raw, path, where, defaults=_FIRST_DEFAULTS, model=_A_DIA) for key, path in names.items()}
    stack = read_block(kind, given, where, model=_A_DIA, names=names)
    return replace(stack, max_position_embeddings=-(-stack.max_position_embeddings // _MULTIPLE) * _MULTIPLE)


def _first_name(stack: str, key: str) -> str:
    """What the first form calls a field of a stack."""
    return _FIRST_NAMES[stack][key]
