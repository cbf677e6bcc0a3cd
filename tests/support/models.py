"""Small configs and random models, for tests of the network and of loading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dia2.core.config import parse_config
from dia2.core.model import Dia2Model

Model = TypeVar("Model", bound=nn.Module)

_TINY: dict[str, Any] = {
    "data": {
        "channels": 6,
        "text_vocab_size": 23,
        "audio_vocab_size": 19,
        "action_vocab_size": 2,
        "text_pad_token_id": 3,
        "text_new_word_token_id": 2,
        "text_zero_token_id": 7,
        "audio_pad_token_id": 18,
        "audio_bos_token_id": 17,
        "action_pad_token_id": 0,
        "action_new_word_token_id": 1,
        "delay_pattern": [0, 1, 1, 2],
        "second_stream_ahead": 2,
    },
    "model": {
        "decoder": {
            "n_layer": 2,
            "n_embd": 20,
            "n_hidden": 28,
            "gqa_query_heads": 4,
            "kv_heads": 2,
            "gqa_head_dim": 6,
            "low_rank_dim": 9,
        },
        "depformer": {
            "n_layer": 2,
            "n_embd": 14,
            "n_hidden": 22,
            "gqa_query_heads": 3,
            "kv_heads": 3,
            "gqa_head_dim": 4,
            "apply_rope": True,
            "text_embedding": True,
        },
        "rope_min_timescale": 1,
        "rope_max_timescale": 10000,
        "normalization_layer_epsilon": 1e-5,
    },
    "runtime": {"weights_schedule": [0, 1, 1], "max_context_steps": 40},
}


def tiny_config(changes: Mapping[str, object] | None = None) -> dict[str, Any]:
    """A valid `config.json` as parsed JSON, with 4 codebooks; `changes` maps dotted field names to values."""
    raw = copy.deepcopy(_TINY)
    for name, value in (changes or {}).items():
        put(raw, name, value)
    return raw


def put(raw: dict[str, Any], name: str, value: object) -> None:
    """Set field `name`, such as `model.decoder.n_layer`; blocks that are not there are made."""
    *blocks, field = name.split(".")
    for block in blocks:
        raw = raw.setdefault(block, {})
    raw[field] = value


def random_model(raw: object, seed: int = 0, dtype: torch.dtype | None = None) -> Dia2Model:
    """A model of that config whose every weight matters: activations and logits of the order of 1, no norm weight 1."""
    model = Dia2Model(parse_config(raw), dtype)
    return randomized(model, seed, lambda name: "embed" not in name or name.endswith("proj.weight"))


def randomized(model: Model, seed: int, linear: Callable[[str], bool]) -> Model:
    """`model` with weights that all matter; `linear` tells linear maps from tables by their names."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1:  # RMSNorm
                values = 1.0 + 0.3 * values
            elif linear(name):
                values /= parameter.shape[1] ** 0.5
            parameter.copy_(values)
    return model.eval()


def backward(loss: Tensor) -> None:
    """Fill the gradients of everything that `loss` depends on."""
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
