"""Mimi's network, and its checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from dia2.audio.mimi.config import GIVE, MimiConfig, read_config
from dia2.audio.mimi.convolution import CausalConv, CausalUpsampling, decoder, encoder
from dia2.audio.mimi.past import Past
from dia2.audio.mimi.quantizer import SplitQuantizer
from dia2.audio.mimi.transformer import Transformer
from dia2.common.errors import CheckpointError
from dia2.core.state_dict import fill, without_memory

_MOST_REMEMBERED = 1 << 24  # numbers; Mimi's convolutions have 30 thousand


class Mimi(nn.Module):
    """Samples <-> latents <-> codes, one stream at a time; modules have the names of the published files."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        width, stride = config.hidden_size, config.frame_stride
        self.encoder = encoder(config)
        self.encoder_transformer = Transformer(config)
        self.downsample = CausalConv(width, width, 2 * stride, stride=stride, bias=False, pad_mode="replicate")
        self.quantizer = SplitQuantizer(config)
        self.upsample = CausalUpsampling(width, width, stride, groups=config.upsample_groups, bias=False)
        self.decoder_transformer = Transformer(config)
        self.decoder = decoder(config)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.upsample.conv.weight.device

    def latents(self, waveform: Tensor, past: Past) -> Tensor:
        """The next T frames of samples [1, 1, T · samples_per_frame] as latents [1, D, T]."""
        x = self.encoder(waveform, past)
        latents: Tensor = self.downsample(self.encoder_transformer(x, past), past)
        return latents

    def waveform(self, latents: Tensor, past: Past) -> Tensor:
        """The next T frames of latents [1, D, T] as samples [1, 1, T · samples_per_frame]."""
        x = self.decoder_transformer(self.upsample(latents, past), past)
        waveform: Tensor = self.decoder(x, past)
        return waveform


def load_mimi(folder: Path, name: str, device: torch.device) -> Mimi:
    """Read config.json and model.safetensors, in float32 to `device`; `name` is what errors call the codec.

    Raises:
        CheckpointError: a file is missing or damaged, is not Mimi's, or does not fit the other.
    """
    config = read_config(folder, name)
    model = without_memory(lambda: Mimi(config))
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise CheckpointError(f"Mimi codec {name} has no model.safetensors: {GIVE}.")
    fill(model, weights, device=device, config="the config.json beside it")
    layers = [module for module in model.modules() if isinstance(module, CausalConv)]
    if sum(layer.reach * layer.conv.in_channels for layer in layers) > _MOST_REMEMBERED:
        raise CheckpointError(
            f"The config.json of Mimi codec {name} asks for convolutions that reach too far back: check its kernel "
            "sizes and its dilation_growth_rate."
        )
    return model.eval()
