"""What a network is before it has learnt anything: where training begins, and what its activations are held against."""

from __future__ import annotations

import torch
from torch import nn

from dia2.core.layers import RMSNorm
from dia2.core.model import Dia2Model


def initialise(model: Dia2Model, generator: torch.Generator | None = None) -> None:
    """Random weights that keep the size of the residual stream, and attention that begins by looking everywhere.

    Args:
        model: on the generator's device.
        generator: of the weights; `None`: PyTorch's own.
    """
    layers = len(model.transformer.layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                continue
            embedding = "embed" in name and "proj" not in name
            std = 0.3 if embedding else parameter.shape[1] ** -0.5
            if name.endswith(("o_proj.weight", "wo.weight")) or "out_proj" in name:
                std *= (2 * layers) ** -0.5
            nn.init.normal_(parameter, std=std, generator=generator)
        for name, module in model.named_modules():
            if isinstance(module, RMSNorm) and name.endswith(("q_norm", "k_norm")):
                module.weight.fill_(module.weight.shape[0] ** -0.25)  # softmax scale is 1: their product would be wild
