"""Sound as codes: delaying channels and undoing it, the codec, and files.

Channel c of frame t stands in row t + delay[c] of the delayed grid, so that a row can be drawn with the slower
channels' earlier frames known. All tables are [B, T, C].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dia2.common.hooks import phase


def _shifted(table: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """`table` [B, T, C] with channel c read `offsets[c]` rows further on, and the rows [T, C] that this reads."""
    rows = torch.arange(table.shape[1], device=table.device)[:, None] + offsets  # [T, C]
    inside = rows.clamp(0, max(0, table.shape[1] - 1)).expand(table.shape)
    return table.gather(1, inside), rows


@phase("dia.delay")
def apply_audio_delay(codes: Tensor, delays: Sequence[int], *, bos: int, pad: int) -> Tensor:
    """out[t, c] = in[t − delay[c], c].

    Args:
        codes: [B, T, C].
        delays: rows by which each channel lags.
        bos: stands where t − delay[c] is before the start.
        pad: stands where it is past the end.

    Returns:
        [B, T, C]; what would fall below the last row is cut off.
    """
    moved, rows = _shifted(codes, -torch.tensor(delays, device=codes.device))
    return moved.masked_fill(rows < 0, bos).masked_fill(rows >= codes.shape[1], pad)


@phase("dia.undelay")
def revert_audio_delay(delayed: Tensor, delays: Sequence[int], *, pad: int) -> Tensor:
    """out[t, c] = in[t + delay[c], c]: the inverse of `apply_audio_delay`; `pad` stands past the end. [B, T, C]."""
    moved, rows = _shifted(delayed, torch.tensor(delays, device=delayed.device))
    return moved.masked_fill(rows >= delayed.shape[1], pad)


def finished_codes(delayed: Tensor, delays: Sequence[int], *, eos: int, pad: int) -> Tensor:
    """Codes [frames, C] of a finished script, from its rows [frames + max(delays), C] of the delayed grid.

    What is no code (eos, PAD) becomes code 0.
    """
    frames = max(0, delayed.shape[0] - max(delays))
    codes = revert_audio_delay(delayed[None], delays, pad=pad)[0, :frames]
    return codes.masked_fill((codes < 0) | (codes >= eos), 0)
