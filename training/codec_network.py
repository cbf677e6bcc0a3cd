"""The small codec before it has learnt anything, and on disk.

Most of a codec's work is done at 24 kHz, on few channels. Here the last stage goes from 1,200 positions a second to
samples in one step of 20, so that nearly all layers work at a low rate, where a CPU's products are at their best.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from dia2.audio.mimi.config import MimiConfig
from dia2.audio.mimi.network import Mimi
from dia2.audio.mimi.transformer import Scale
from dia2.common.files import replacing
from training.acoustics import LABELLED

_AFTER_ELU = 1.25  # keeps the size of what an ELU has let through
_LOUDER = 10.0  # from samples to numbers around 1
_QUIET = 0.05  # the decoder begins near silence
NEAR = 0.5  # the size of labelled latents at first
_BIAS = 0.1  # silence is something: norms of nothing have gradients without bounds
_BRANCH = 0.4  # what residual blocks and the transformers' branches add at first


@dataclass(frozen=True)
class CodecShape:
    """How large the codec is."""

    filters: int = 16  # channels at 24 kHz; each ratio doubles them
    ratios: tuple[int, ...] = (4, 3, 2, 2, 20)  # from 25 positions a second to samples
    hidden: int = 192
    layers: int = 2  # of each transformer
    heads: int = 4
    codebooks: int = 8
    codes: int = 256
    latent: int = 48  # width of what is quantised


def config_of(shape: CodecShape) -> MimiConfig:
    """24 kHz, 12.5 frames a second, a labelled codebook for each half of a frame and for pitch."""
    return MimiConfig(
        frame_rate=12.5,
        num_filters=shape.filters,
        hidden_size=shape.hidden,
        intermediate_size=4 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.hidden // shape.heads,
        num_quantizers=shape.codebooks,
        num_semantic_quantizers=LABELLED,
        codebook_size=shape.codes,
        codebook_dim=shape.latent,
        vector_quantization_hidden_dimension=shape.latent,
        upsample_groups=shape.hidden,
        upsampling_ratios=list(shape.ratios),
        sliding_window=50,
    )


def build(shape: CodecShape, seed: int = 0) -> Mimi:
    """An untrained codec, whose weights keep the size of what goes through them.

    The labelled latents have one spare dimension in each part, which says nothing and is not heard; codes that mean
    nothing lie far out in it. No gradient ever reaches it: what codes mean does not differ there.

    Small weights were the bottleneck of training: what reached the codebooks, and what came back, was tiny.
    """
    torch.manual_seed(seed)
    model = Mimi(config_of(shape))
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
                nn.init.normal_(module.weight, std=_gain(name) * _terms(module) ** -0.5)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=_BIAS)
            elif isinstance(module, Scale):
                module.scale.fill_(_BRANCH)
        labelled = model.quantizer.semantic_residual_vector_quantizer
        spare = torch.arange(1, LABELLED + 1) * (shape.latent // LABELLED) - 1
        labelled.input_proj.get_parameter("weight").mul_(NEAR)[spare] = 0
        labelled.output_proj.get_parameter("weight")[:, spare] = 0
        model.encoder.layers[0].get_parameter("conv.weight").mul_(_LOUDER)
        last = model.decoder.layers[-1]
        last.get_parameter("conv.weight").mul_(_QUIET)
        last.get_parameter("conv.bias").zero_()
    return model


def _terms(module: nn.Conv1d | nn.ConvTranspose1d | nn.Linear) -> float:
    """How many products add up to one output."""
    if isinstance(module, nn.Linear):
        return module.in_features
    taps = module.kernel_size[0]
    if isinstance(module, nn.ConvTranspose1d):
        taps //= module.stride[0]
    return module.in_channels // module.groups * taps


def _gain(name: str) -> float:
    parts = name.split(".")
    if parts[0] not in ("encoder", "decoder") or parts[:3] in (["encoder", "layers", "0"], ["decoder", "layers", "0"]):
        return 1.0
    return _AFTER_ELU * (_BRANCH if parts[3:5] == ["block", "3"] else 1.0)


def write_mimi(folder: Path, model: Mimi, dtype: torch.dtype) -> None:
    """Write the codec in the published format; its codebooks as plain vectors, each used once.

    Args:
        folder: gets config.json and model.safetensors.
        model: the codec.
        dtype: in which weights are stored.
    """
    from transformers import MimiConfig as Published

    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    shared = {name: value for name, value in vars(config).items() if name not in ("frame_rate", "rope_theta")}
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    Published(**shared, rope_parameters=rope, architectures=["MimiModel"], dtype=dtype).save_pretrained(folder)
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    for name in [name for name in weights if name.endswith("embed_sum")]:
        used = name.replace("embed_sum", "cluster_usage")
        weights[name] = weights[name] / weights[used].clamp(min=1e-5)[:, None]
        weights[used] = torch.ones_like(weights[used])
    with replacing(folder / "model.safetensors") as temporary:
        save_file({name: tensor.to(dtype).contiguous() for name, tensor in weights.items()}, temporary)
