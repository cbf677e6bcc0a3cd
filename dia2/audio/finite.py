"""Codecs whose weights are damaged compute NaN: told where their numbers leave them, for clamped they would be loud."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.common.errors import CheckpointError


def require_numbers(values: Tensor, codec: str) -> Tensor:
    """`values` as they are, if all of them are finite; waits for their device.

    Raises:
        CheckpointError: the codec, so called, computes none.
    """
    if not bool(values.isfinite().all()):
        raise CheckpointError(
            f"Codec {codec} computes numbers that are NaN or infinite: its weights are damaged, so fetch its "
            "model.safetensors again."
        )
    return values


def within_one(samples: Tensor) -> Tensor:
    """Samples clamped to ±1, NaN where they are not finite: for `require_numbers` when they have left their device."""
    return torch.where(samples.isfinite(), samples.clamp(-1.0, 1.0), torch.nan)
