"""Writing sound."""

from __future__ import annotations

import io
from pathlib import Path

import soundfile
from torch import Tensor

from dia2.common.files import check_sound_name, write_atomically


def save_wav(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write `waveform` [N] in −1 … 1 as 16-bit WAV, whole or not at all.

    Raises:
        UsageError: the name says another format.
        Dia2Error: the file cannot be written; one that was there before is left as it was.
    """
    check_sound_name(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.detach().cpu().numpy(), sample_rate, format="WAV", subtype="PCM_16")
    write_atomically(path, buffer.getvalue())
