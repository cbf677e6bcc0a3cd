"""`config.json` of a checkpoint as frozen dataclasses; every field is checked when it is read.

The blocks and their defaults are those of the published Dia2 files. A field without a default here is
required; a missing one, one of the wrong type or one that contradicts another is refused by name.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from dia2.common.checks import short
from dia2.common.fields import Layers, Size, Vocabulary, load_json, read_block, requirement

ACTIVATIONS = ("silu", "swish", "swiglu", "gelu", "geglu", "relu", "linear")
_LARGEST_SIZE = 1 << 24  # as of `Size`
_MOST_MATRICES = 1 << 14  # of one kind in the depformer: weight sets × layers; Dia2-2B has 20


@dataclass(frozen=True)
class DataConfig:
    """Token ids, vocabulary sizes and the delay pattern."""

    channels: int  # channels of a frame: 2 text streams + K codebooks
    text_vocab_size: Vocabulary
    audio_vocab_size: Vocabulary  # codes, then audio BOS and pad
    action_vocab_size: Vocabulary  # width of the action head
    text_pad_token_id: int
    text_new_word_token_id: int
    action_pad_token_id: int
    action_new_word_token_id: int
    text_zero_token_id: int = 7  # main text of the unconditional branch at step 0
    audio_pad_token_id: int = -1  # -1 stands for audio_vocab_size - 1
    audio_bos_token_id: int = -1  # -1 stands for audio_vocab_size - 2
    delay_pattern: list[int] = field(default_factory=list)  # grid columns by which codebook k lags, K entries
    first_word_min_start: int = 0  # in the published files, unused at run time
    max_pad: int = 0  # in the published files, unused at run time
    second_stream_ahead: int = 0  # words by which the second text stream looks ahead; 0: it repeats the main one
    tokenizer_path: str | None = None

    @property
    def num_codebooks(self) -> int:
        """K, the audio channels of a frame."""
        return self.channels - 2


@dataclass(frozen=True)
class BlockConfig:
    """Sizes of one transformer stack: the decoder's, or the first half of the depformer's."""

    n_layer: Layers
    n_embd: Size
    n_hidden: Size  # inner width of the MLP
    gqa_query_heads: Size
    kv_heads: Size
    gqa_head_dim: Size
    low_rank_dim: int | None = None  # width of the text embedding table; `None`: n_embd


@dataclass(frozen=True)
class DepformerConfig(BlockConfig):
    """Sizes of the depformer, which predicts codebooks 1 … K-1 of one frame."""

    apply_rope: bool = True
    text_embedding: bool = True  # stage 0 also sees the two text tokens that the machine has just emitted
    mlp_activations: list[str] = field(default_factory=lambda: ["silu", "linear"])


@dataclass(frozen=True)
class LinearConfig:
    """The decoder MLP's two activations: gate and up."""

    mlp_activations: list[str] = field(default_factory=lambda: ["silu", "linear"])


@dataclass(frozen=True)
class ModelConfig:
    """Both stacks, and what they share."""

    decoder: BlockConfig
    depformer: DepformerConfig
    linear: LinearConfig = field(default_factory=LinearConfig)
    dropout: float = 0.0
    rope_min_timescale: float = 1.0
    rope_max_timescale: float = 10000.0
    normalization_layer_epsilon: float = 1e-5


@dataclass(frozen=True)
class RuntimeConfig:
    """What generation needs beside the model."""

    weights_schedule: list[int] | None = None  # weight set of each depformer stage; `None`: 0 … K-2
    max_context_steps: int = 1500  # calls of the main loop, 12.5 a second


@dataclass(frozen=True)
class AssetsConfig:
    """Where tokenizer and codec are: a hub repo, or a path (relative ones: beside config.json)."""

    tokenizer: str | None = None
    mimi: str | None = None


@dataclass(frozen=True)
class DiaConfig:
    """The whole `config.json`."""

    data: DataConfig
    model: ModelConfig
    runtime: RuntimeConfig
    assets: AssetsConfig = field(default_factory=AssetsConfig)

    @property
    def weights_schedule(self) -> list[int]:
        """Weight set of each depformer stage, K-1 entries."""
        schedule = self.runtime.weights_schedule
        return list(range(self.data.num_codebooks - 1)) if schedule is None else schedule


def load_config(path: str | Path) -> DiaConfig:
    """Read and check a `config.json`.

    Raises:
        CheckpointError: the file is missing, is not JSON, or a field is missing, ill-typed or contradictory.
    """
    return parse_config(load_json(path), str(path))


def parse_config(raw: object, where: str = "config.json") -> DiaConfig:
    """Build a config from parsed JSON; `where` names it in errors (raised as in `load_config`)."""
    config = read_block(DiaConfig, raw, where, model="a Dia2")
    data = config.data
    if data.audio_pad_token_id == -1:
        data = dataclasses.replace(data, audio_pad_token_id=data.audio_vocab_size - 1)
    if data.audio_bos_token_id == -1:
        data = dataclasses.replace(data, audio_bos_token_id=data.audio_vocab_size - 2)
    config = dataclasses.replace(config, data=data)
    _check(config, where)
    return config


def _check(config: DiaConfig, where: str) -> None:
    """Refuse sizes and ids that no model can have, before anything is allocated by them."""
    need = requirement(where)
    data, model, runtime = config.data, config.model, config.runtime
    need(
        3 <= data.channels <= 2 + 1024,
        f"data.channels must be 3 to 1026 (2 text + K audio), not {short(data.channels)}",
    )
    for name in dataclasses.asdict(data):
        if name.endswith("_token_id"):
            size = getattr(data, f"{name.split('_')[0]}_vocab_size")
            token = getattr(data, name)
            need(0 <= token < size, f"data.{name} is {short(token)}, outside its vocabulary of {size}")
    need(data.text_pad_token_id != data.text_new_word_token_id, "text pad and new_word have the same id")
    need(data.action_pad_token_id != data.action_new_word_token_id, "action pad and new_word have the same id")
    need(min(data.audio_pad_token_id, data.audio_bos_token_id) > 0, "the audio vocabulary has no codes besides pad/BOS")
    need(
        len(data.delay_pattern) == data.num_codebooks,
        f"data.delay_pattern has {len(data.delay_pattern)} entries for {data.num_codebooks} codebooks (channels - 2)",
    )
    need(all(0 <= delay <= 4096 for delay in data.delay_pattern), "data.delay_pattern entries must be 0 to 4096")
    need(0 <= data.second_stream_ahead <= 64, "data.second_stream_ahead must be 0 to 64")

    blocks: dict[str, BlockConfig] = {"model.decoder": model.decoder, "model.depformer": model.depformer}
    for name, block in blocks.items():
        if block.low_rank_dim is not None:
            need(1 <= block.low_rank_dim <= _LARGEST_SIZE, f"{name}.low_rank_dim must be at least 1")
        need(
            block.gqa_query_heads % block.kv_heads == 0,
            f"{name}.gqa_query_heads {block.gqa_query_heads} is not a multiple of kv_heads {block.kv_heads}",
        )
        need(block.gqa_head_dim % 2 == 0, f"{name}.gqa_head_dim must be even (rotary halves), not {block.gqa_head_dim}")
    need(
        model.depformer.kv_heads == model.depformer.gqa_query_heads,
        "model.depformer.kv_heads must equal gqa_query_heads (its projection is one fused q, k, v)",
    )
    for name, kinds in {
        "model.linear.mlp_activations": model.linear.mlp_activations,
        "model.depformer.mlp_activations": model.depformer.mlp_activations,
    }.items():
        need(len(kinds) == 2, f"{name} must name two activations, not {len(kinds)}")
        need(
            all(kind in ACTIVATIONS for kind in kinds), f"{name} may name {', '.join(ACTIVATIONS)}, not {short(kinds)}"
        )
    need(0 < model.rope_min_timescale <= model.rope_max_timescale, "model.rope_min/max_timescale must be 0 < min ≤ max")
    need(model.normalization_layer_epsilon >= 0, "model.normalization_layer_epsilon must not be negative")

    stages = data.num_codebooks - 1
    schedule = config.weights_schedule
    need(len(schedule) == stages, f"runtime.weights_schedule has {len(schedule)} entries for {stages} depformer stages")
    need(
        all(0 <= entry < max(stages, 1) for entry in schedule),
        f"runtime.weights_schedule entries must be 0 to {stages - 1}",
    )
    sets = max(schedule, default=0) + 1
    need(
        sets * model.depformer.n_layer <= _MOST_MATRICES,
        f"runtime.weights_schedule asks for {sets} weight sets in each of {model.depformer.n_layer} depformer layers",
    )
    need(1 <= runtime.max_context_steps <= 1_000_000, "runtime.max_context_steps must be 1 to 1,000,000")
