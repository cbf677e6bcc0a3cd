"""What a manifest says of a run before its first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from dia2.adapter.checkpoint import fingerprint
from dia2.adapter.loudness import Loudness, unknown
from dia2.generation import GenerationConfig
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import edit_to_json
from dia2.runtime.interventions import Interventions
from dia2.runtime.voice_clone import PrefixPlan


def run_facts(
    runtime: RuntimeContext,
    config: GenerationConfig,
    seed: object,
    plan: PrefixPlan | None,
    interventions: Interventions | None,
) -> dict[str, Any]:
    """What decides a run, but for its entries; see docs/trace-format.md."""
    guided = config.cfg_scale != 1.0 if interventions is None else interventions.guided
    return {
        "hashes": fingerprint(runtime.assets),
        "model": _model_facts(runtime, branches=2 if guided else 1),
        "config": _config_json(config),
        "seed": seed,
        "edits": [edit_to_json(edit) for edit in interventions.declared] if interventions else [],
        "forked_at": interventions.forked_at if interventions else None,
        "prefix_words": len(plan.entries) if plan else 0,
        "prefix_frames": plan.aligned_frames if plan else 0,
    }


def prefix_columns(plan: PrefixPlan, loudness: Sequence[Loudness]) -> dict[str, np.ndarray]:
    """The tensors of `prefix.safetensors`; loudness is NaN where it is not known of every frame."""
    known = sum(len(voice.rms) for voice in loudness) == plan.aligned_frames
    voices = loudness if known else [unknown(plan.aligned_frames)]
    return {
        "codes": plan.aligned_tokens.to(device="cpu", dtype=torch.int32).numpy(),
        "new_word_steps": np.array(plan.new_word_steps, np.int32),
    } | {name: torch.cat([getattr(voice, name) for voice in voices]).numpy() for name in Loudness._fields}


def _model_facts(runtime: RuntimeContext, branches: int) -> dict[str, Any]:
    """What a reader needs to know of the checkpoint without having it."""
    data, model = runtime.config.data, runtime.config.model
    return {
        "codebooks": data.num_codebooks,
        "delays": list(runtime.audio_delays),
        "branches": branches,
        "text_vocabulary": data.text_vocab_size,
        "audio_vocabulary": data.audio_vocab_size,
        "actions": data.action_vocab_size,
        "codes": runtime.model.depformer.num_codes,
        "second_stream_ahead": data.second_stream_ahead,
        "max_padding": runtime.machine.max_padding,
        "max_context_steps": runtime.config.runtime.max_context_steps,
        "frame_rate": runtime.frame_rate,
        "sample_rate": runtime.mimi.sample_rate,
        "layers": model.decoder.n_layer,
        "heads": model.decoder.gqa_query_heads,
        "kv_heads": model.decoder.kv_heads,
        "depformer_layers": model.depformer.n_layer,
        "device": str(runtime.device),
        "dtype": runtime.precision,
        "products": runtime.products,
        "tokens": asdict(runtime.constants),
    }


def _config_json(config: GenerationConfig) -> dict[str, Any]:
    values = asdict(config)
    prefix = values.pop("prefix")
    values.pop("seed")  # the run's stands beside it
    if prefix is not None:
        for name, value in prefix.items():
            if value is not None and not isinstance(value, bool | str):
                prefix[name] = str(value) if hasattr(value, "__fspath__") else "a list"
    return values | {"prefix": prefix}
