"""The `config.json` of a Mimi checkpoint: the fields and defaults of transformers, every one checked as it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dia2.common.checks import read_small, short
from dia2.common.errors import CheckpointError
from dia2.common.fields import read_block, requirement

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # the exact one
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
PAD_MODES = ("constant", "replicate")  # of what was before a stream: zeros, or its first input again
GIVE = "give a folder or a Hugging Face repo with a Mimi checkpoint, such as kyutai/mimi"
_LARGEST = 1 << 24  # of a size; no real one comes near, and a hostile one must not exhaust memory
_MOST = 256  # of each: what is built one by one must not be built a million times
_LONGEST = 1 << 16  # samples a frame; Mimi has 1,920
_MAY_BE_NULL = ("head_dim", "upsampling_ratios", "frame_rate")


@dataclass(frozen=True)
class MimiConfig:
    """Sizes and rates; what only training reads is left out."""

    sampling_rate: int = 24_000  # Hz
    frame_rate: float = 0.0  # 0 stands for half of what the convolutions make
    audio_channels: int = 1
    hidden_size: int = 512  # D, the width of latents and of both transformers
    num_filters: int = 64  # channels at the rate of samples; each ratio doubles them
    upsampling_ratios: list[int] = field(default_factory=lambda: [8, 6, 5, 4])  # in the decoder's order
    num_residual_layers: int = 1  # beside each ratio
    kernel_size: int = 7
    last_kernel_size: int = 3
    residual_kernel_size: int = 3
    dilation_growth_rate: int = 2
    compress: int = 2  # how much narrower residual blocks are inside
    use_conv_shortcut: bool = False
    use_causal_conv: bool = True
    pad_mode: str = "constant"
    trim_right_ratio: float = 1.0
    upsample_groups: int = 512
    num_quantizers: int = 32
    num_semantic_quantizers: int = 1
    codebook_size: int = 2048
    codebook_dim: int = 256
    vector_quantization_hidden_dimension: int = 256
    num_hidden_layers: int = 8  # of each transformer
    intermediate_size: int = 2048
    num_attention_heads: int = 8
    num_key_value_heads: int = 8
    head_dim: int = 0  # 0 stands for hidden_size / num_attention_heads
    hidden_act: str = "gelu"
    attention_bias: bool = False
    norm_eps: float = 1e-5
    sliding_window: int = 250  # positions that one may look at, itself included
    rope_theta: float = 10_000.0

    @property
    def frame_stride(self) -> int:
        """Positions of the transformers for each frame."""
        return int(math.ceil(self.sampling_rate / math.prod(self.upsampling_ratios)) / self.frame_rate)

    @property
    def samples_per_frame(self) -> int:
        """Samples that a frame stands for."""
        return math.prod(self.upsampling_ratios) * self.frame_stride


@dataclass(frozen=True)
class _Rope:
    rope_theta: float
    type: str = "default"  # which older files have
    rope_type: str = ""


def read_config(folder: Path, name: str) -> MimiConfig:
    """Read and check config.json; `name` is what errors call the codec.

    Raises:
        CheckpointError: it is missing, not Mimi's, or a field is ill-typed, contradictory or of a kind not computed.
    """
    try:
        raw = json.loads(read_small(folder / "config.json"))
        model_type = raw["model_type"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"The config.json of Mimi codec {name} cannot be read ({_reason(error)}): {GIVE}."
        ) from error
    if model_type != "mimi":
        raise CheckpointError(f"Checkpoint {name} holds a model of type {short(model_type)}, not a Mimi codec: {GIVE}.")
    if any(raw.get(half, True) is None for half in ("encoder_config", "decoder_config")):
        raise CheckpointError(f"Mimi codec {name} lacks its encoder or its decoder: {GIVE}.")
    where = f"The config.json of Mimi codec {name}"
    given = {**raw, "frame_rate": raw.get("_frame_rate", raw.get("frame_rate"))}  # the second is the older spelling
    given = {key: value for key, value in given.items() if key not in _MAY_BE_NULL or value not in (None, 0, [])}
    config = read_block(MimiConfig, given | {"rope_theta": _rope_theta(raw, where)}, where, model="a Mimi")
    if not config.head_dim:
        config = replace(config, head_dim=config.hidden_size // max(1, config.num_attention_heads))
    _check(config, where)
    if not config.frame_rate:
        config = replace(config, frame_rate=config.sampling_rate / (2 * math.prod(config.upsampling_ratios)))
    _check_rates(config, name)
    return config


def _rope_theta(raw: dict[str, object], where: str) -> object:
    """The base of rotary positions, from wherever transformers' versions have put it."""
    key = "rope_scaling" if raw.get("rope_scaling") else "rope_parameters"
    outer = {"rope_theta": raw.get("rope_theta", 10_000.0)}
    inner = raw.get(key) or {}
    rope = read_block(_Rope, outer | inner if isinstance(inner, dict) else inner, where, f"{key}.", model="a Mimi")
    if (kind := rope.rope_type or rope.type) != "default":
        raise CheckpointError(f"{where}: rotary positions of type {short(kind)} are not supported, only 'default'.")
    return rope.rope_theta


def _check(config: MimiConfig, where: str) -> None:
    """Refuse sizes that no codec can have, and what this network does not compute, before anything is built by them."""
    need = requirement(where)

    def between(least: int, most: int, *names: str) -> None:
        for name in names:
            value = getattr(config, name)
            need(least <= value <= most, f"field {name} must be {least} to {most:,}, not {short(value)}")

    need(config.use_causal_conv, f"its convolutions are not causal (use_causal_conv): {GIVE}")
    need(config.audio_channels == 1, f"it has {short(config.audio_channels)} audio channels instead of 1: {GIVE}")
    need(config.trim_right_ratio == 1.0, "field trim_right_ratio must be 1, so that nothing is heard ahead")
    for name, known in {"pad_mode": PAD_MODES, "hidden_act": tuple(ACTIVATIONS)}.items():
        value = getattr(config, name)
        need(value in known, f"field {name} may be {', '.join(known)}, not {short(value)}")
    between(
        1,
        _LARGEST,
        *("sampling_rate", "hidden_size", "num_filters", "kernel_size", "last_kernel_size", "residual_kernel_size"),
        *("compress", "upsample_groups", "codebook_size", "codebook_dim", "intermediate_size", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "sliding_window"),
    )
    between(0, _MOST, "num_hidden_layers", "num_residual_layers")
    between(1, _MOST, "num_quantizers", "dilation_growth_rate")
    between(1, config.num_quantizers - 1, "num_semantic_quantizers")
    ratios = config.upsampling_ratios
    need(
        len(ratios) <= 16 and all(1 <= ratio <= _LONGEST for ratio in ratios) and math.prod(ratios) <= _LONGEST,
        f"field upsampling_ratios must be up to 16 numbers whose product is at most {_LONGEST:,}, not {short(ratios)}",
    )
    need(
        config.codebook_dim == config.vector_quantization_hidden_dimension,
        f"field codebook_dim is {config.codebook_dim}, but vector_quantization_hidden_dimension is "
        f"{short(config.vector_quantization_hidden_dimension)}",
    )
    need(config.compress <= config.num_filters, "field compress is larger than num_filters")
    for whole, part in (
        ("hidden_size", "num_attention_heads"),
        ("num_attention_heads", "num_key_value_heads"),
        ("hidden_size", "upsample_groups"),
    ):
        a, b = getattr(config, whole), getattr(config, part)
        need(a % b == 0, f"field {whole} is {a}, no multiple of {part}, {b}")
    need(config.head_dim % 2 == 0, f"field head_dim must be even (rotary halves), not {config.head_dim}")
    need(config.rope_theta > 0, "field rope_theta must be more than 0")
    need(config.norm_eps >= 0, "field norm_eps must not be negative")
    need(config.frame_rate == 0 or config.frame_rate >= 0.01, "field frame_rate must be at least 0.01 frames a second")


def _check_rates(config: MimiConfig, name: str) -> None:
    """The rates must agree with the strides; at one frame for each position there is nothing to sample up or down."""
    if math.ceil(config.sampling_rate / math.prod(config.upsampling_ratios)) <= config.frame_rate:
        raise CheckpointError(f"Mimi codec {name} lacks its downsampling and its upsampling: {GIVE}.")
    samples = config.samples_per_frame
    if samples > _LONGEST or round(config.sampling_rate / config.frame_rate) != samples:
        raise CheckpointError(
            f"The config.json of Mimi codec {name} contradicts itself ({config.sampling_rate} samples and "
            f"{config.frame_rate} frames a second, but {samples} samples a frame): correct it."
        )


def _reason(error: Exception) -> str:
    """Give the kind and the first sentence of an error that another library wrote over several lines."""
    first = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {first[:200]}"
