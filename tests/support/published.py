"""The published checkpoints' configs, as parsed JSON: their sizes, with no weights to download."""

from __future__ import annotations

from typing import Any

_STAGES = 31  # of the depformer: 32 codebooks, the first of which is the transformer's


def dia2_2b() -> dict[str, Any]:
    """Config of Dia2-2B: 1,919,556,608 parameters in 450 tensors."""
    return _config(layers=28, width=2048, depformer_layers=4, weight_sets=5)


def dia2_1b() -> dict[str, Any]:
    """Config of Dia2-1B: 1,076,244,736 parameters in 440 tensors."""
    return _config(layers=30, width=1024, depformer_layers=3, weight_sets=3)


def _config(*, layers: int, width: int, depformer_layers: int, weight_sets: int) -> dict[str, Any]:
    return {
        "data": {
            "channels": 34,
            "text_vocab_size": 49280,
            "audio_vocab_size": 2050,
            "action_vocab_size": 2,
            "text_pad_token_id": 3,
            "text_new_word_token_id": 2,
            "text_zero_token_id": 7,
            "audio_pad_token_id": 2049,
            "audio_bos_token_id": 2048,
            "action_pad_token_id": 0,
            "action_new_word_token_id": 1,
            "delay_pattern": [16] + [18] * _STAGES,
            "first_word_min_start": 3,
            "max_pad": 8,
            "second_stream_ahead": 2,
        },
        "model": {
            "decoder": {
                "n_layer": layers,
                "n_embd": width,
                "n_hidden": 6144,
                "gqa_query_heads": 16,
                "kv_heads": 8,
                "gqa_head_dim": 128,
            },
            "depformer": {
                "n_layer": depformer_layers,
                "n_embd": 1024,
                "n_hidden": 3072,
                "gqa_query_heads": 8,
                "kv_heads": 8,
                "gqa_head_dim": 128,
                "apply_rope": True,
                "text_embedding": False,
            },
            "normalization_layer_epsilon": 1e-6,
        },
        "runtime": {
            # Which stage has which set does not change the sizes; early stages differ most, so they share least.
            "weights_schedule": [min(stage, weight_sets - 1) for stage in range(_STAGES)],
            "max_context_steps": 1500,
        },
    }
