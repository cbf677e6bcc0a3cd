"""Checkpoints of random weights at chosen shapes: what a benchmark runs where nothing can be downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dia2 import Dia2, GenerationConfig
from dia2.audio.codec import Codec
from dia2.audio.mimi.config import MimiConfig
from dia2.audio.mimi.network import Mimi
from dia2.core.ambient import threads_for
from dia2.core.config import DiaConfig, load_config, parse_config
from dia2.core.layers import CodeEmbedding
from dia2.core.model import Dia2Model
from dia2.core.quantize import quantize
from dia2.runtime.assets import nano_folder
from dia2.runtime.context import RuntimeContext, token_ids
from dia2.runtime.generator import generate_frames
from dia2.runtime.packing import suit
from dia2.runtime.script_parser import parse_script
from dia2.runtime.session import open_session
from dia2.runtime.state_machine import StateMachine
from dia2.runtime.turns import Rows
from dia2.runtime.weights import weight_bytes

SHAPES: dict[str, dict[str, int]] = {
    "300m": {"layers": 12, "width": 1024, "hidden": 3072, "heads": 8, "dep_layers": 2, "dep_width": 512, "sets": 3},
    "1b": {"layers": 30, "width": 1024, "hidden": 6144, "heads": 16, "dep_layers": 3, "dep_width": 1024, "sets": 3},
    "2b": {"layers": 28, "width": 2048, "hidden": 6144, "heads": 16, "dep_layers": 4, "dep_width": 1024, "sets": 5},
}
CODEBOOKS = 32
SCRIPT = "[S1] " + " ".join(["Hello there, how are you today?"] * 60)


def runtime(name: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> RuntimeContext:
    """`nano` as it is embedded, or one of `SHAPES` with random weights (and nano's tokenizer and codec)."""
    nano = Dia2.nano(device=device, dtype=dtype).runtime
    if name == "nano":
        return nano
    config = shape_config(name)
    with torch.device("meta"):
        model = Dia2Model(config, dtype).eval().requires_grad_(False)
    model.to_empty(device=device)
    noise = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0)).to(device)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fill(parameter, noise * parameter.shape[-1] ** -0.5)
        else:
            parameter.fill_(1.0)
    constants = token_ids(config, nano.tokenizer)
    return replace(
        nano,
        config=config,
        dtype=dtype,
        model=model,
        constants=constants,
        machine=StateMachine(constants, second_stream_ahead=config.data.second_stream_ahead),
        audio_delays=config.data.delay_pattern,
        audio_delay_tensor=torch.tensor(config.data.delay_pattern, device=device),
        weight_bytes=weight_bytes(model),
        threads=threads_for(weight_bytes(model), nano.device),
    )


def packed(target: RuntimeContext) -> RuntimeContext:
    """The same with int8 weights, multiplied by what suits its device, as an engine that is loaded so would have it."""
    quantize(target.model)
    with target.computing():
        products = suit(target.model)
    return replace(target, quantized="int8", products=products, weight_bytes=weight_bytes(target.model))


def mimi(codebooks: int, device: str = "cpu") -> Codec:
    """The codec of the published checkpoints, with random weights: its shapes are the defaults of a config."""
    torch.manual_seed(0)
    model = Mimi(MimiConfig(frame_rate=12.5, head_dim=64)).to(device).eval().requires_grad_(False)
    return Codec(model, num_codebooks=codebooks, name="random Mimi")


def fill(weights: Tensor, noise: Tensor) -> None:
    """Lay `noise` over `weights` again and again: drawing billions of numbers would take a minute."""
    for part in weights.view(-1).split(len(noise)):
        part.copy_(noise[: len(part)])


def shape_config(name: str) -> DiaConfig:
    """The config of `nano`, or of one of `SHAPES`."""
    return load_config(nano_folder() / "config.json") if name == "nano" else parse_config(_config(**SHAPES[name]))


def open_run(
    target: RuntimeContext,
    config: GenerationConfig,
    loop: Any = generate_frames,
    first: int = 0,
    rows: Rows | None = None,
) -> Any:
    """The main loop of a run that is longer than any context, by `loop`; frame by frame.

    Args:
        target: what speaks.
        config: of the run.
        loop: in place of the runtime's own.
        first: the step to begin at, as if the frames before it had been made: their cache slots hold noise.
        rows: of the batch that the run is part of.
    """
    entries = parse_script([SCRIPT], target.encode, target.constants, target.frame_rate)
    session = open_session(target, config, None, entries, rows=rows)
    gen = session.gen
    if first:
        for cache in (gen.decode.transformer.keys, gen.decode.transformer.values):
            cache[:, :, :, :first] = torch.randn(cache.shape[-1])
        gen.calls = first
        gen.call.fill_(first)
        gen.step.fill_(first)
    return loop(target, config, session.state, gen, start_step=first)


def bytes_read(model: Dia2Model) -> tuple[int, int]:
    """Bytes of weights that a frame reads: each once, and as often as a stage takes it.

    Embedding tables do not count: a frame reads a few rows of them.
    """
    once = [*_without_tables(model.transformer), *_without_tables(model.depformer)]
    return sum(weights.nbytes for weights in once), sum(weights.nbytes for weights in _taken(model))


def operations(model: Dia2Model) -> dict[torch.dtype, int]:
    """Of a frame's products with weights, for each lane: two for each number of a matrix, by its dtype."""
    found: dict[torch.dtype, int] = {}
    for weights in _taken(model):
        if weights.ndim > 1:
            found[weights.dtype] = found.get(weights.dtype, 0) + 2 * weights.numel()
    return found


def _taken(model: Dia2Model) -> Iterator[Tensor]:
    """Weights of a frame, each as often as a stage takes it."""
    depformer = model.depformer
    yield from _without_tables(model.transformer)
    if depformer.text_embed is not None:
        yield from _without_tables(depformer.text_embed)
    for weights in set(depformer.schedule):  # for all stages of a set
        yield from depformer.depformer_in[weights].parameters()
    for stage, weights in enumerate(depformer.schedule):
        yield from depformer.logits[stage].parameters()
        yield from depformer.norm.parameters()
        for layer in depformer.layers:
            attention: Any = layer.self_attention
            sets = {id(part) for parts in (attention.in_proj, attention.out_proj) for part in parts.parameters()}
            yield from (part for part in layer.parameters() if id(part) not in sets)
            yield from attention.in_proj[weights].parameters()
            yield from attention.out_proj[weights].parameters()


def _without_tables(module: torch.nn.Module) -> Iterator[Tensor]:
    tables = (part for part in module.modules() if isinstance(part, torch.nn.Embedding | CodeEmbedding))
    left_out = {id(weights) for table in tables for weights in table.parameters()}
    return (weights for weights in module.parameters() if id(weights) not in left_out)


def _config(*, layers: int, width: int, hidden: int, heads: int, dep_layers: int, dep_width: int, sets: int) -> Any:
    stages = CODEBOOKS - 1
    return {
        "data": {
            "channels": CODEBOOKS + 2,
            "text_vocab_size": 4096,
            "audio_vocab_size": 2050,
            "action_vocab_size": 2,
            "text_pad_token_id": 3,
            "text_new_word_token_id": 2,
            "text_zero_token_id": 7,
            "audio_pad_token_id": 2049,
            "audio_bos_token_id": 2048,
            "action_pad_token_id": 0,
            "action_new_word_token_id": 1,
            "delay_pattern": [16] + [18] * stages,
            "second_stream_ahead": 2,
        },
        "model": {
            "decoder": {
                "n_layer": layers,
                "n_embd": width,
                "n_hidden": hidden,
                "gqa_query_heads": heads,
                "kv_heads": heads // 2,
                "gqa_head_dim": 128,
            },
            "depformer": {
                "n_layer": dep_layers,
                "n_embd": dep_width,
                "n_hidden": 3 * dep_width,
                "gqa_query_heads": 8,
                "kv_heads": 8,
                "gqa_head_dim": dep_width // 8,
                "apply_rope": True,
                "text_embedding": False,
            },
            "normalization_layer_epsilon": 1e-6,
        },
        "runtime": {
            "weights_schedule": [min(stage, sets - 1) for stage in range(stages)],
            "max_context_steps": 1500,
        },
    }
