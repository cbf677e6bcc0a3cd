"""Safetensors into the model: every name and shape checked, each tensor straight into its dtype and device."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from dia2.core.config import DiaConfig
from dia2.core.model import Dia2Model
from dia2.core.state_dict import fill, without_memory


def load_model(
    config: DiaConfig, path: str | Path, *, device: torch.device, dtype: torch.dtype, strict: bool = False
) -> Dia2Model:
    """Build the model and fill it from `path`, holding little more than the weights themselves.

    Args:
        config: says which tensors there must be.
        path: a safetensors file.
        device: where the weights go.
        dtype: of all weights but the float32 heads.
        strict: refuse tensors that the model does not know, instead of warning.

    Raises:
        CheckpointError: the file is damaged; tensors are missing, of a wrong shape, or (`strict`) unknown.
    """
    model = without_memory(lambda: Dia2Model(config, dtype))
    fill(model, path, device=device, strict=strict)
    return model.eval()


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(math.prod(p.shape) * p.element_size() for p in model.parameters())
