"""What a recorder keeps of a voice that a run goes on from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dia2.adapter.loudness import Loudness, loudness, unknown
from dia2.audio.codec import Codec
from dia2.runtime.voice_file import Voice


class GivenVoice(NamedTuple):
    """One speaker's part of a prefix."""

    loudness: Loudness  # NaN without a waveform
    samples: np.ndarray | None  # [N] float32 or int16 at the codec's rate; `None`: none, or not to be kept


def given_voice(voice: Voice, codec: Codec, *, sound: bool) -> GivenVoice:
    """What is kept of `voice`, with or without its sound."""
    frames = voice.codes.shape[1]
    if voice.samples is None:
        return GivenVoice(unknown(frames), None)
    clipped = None if voice.clipped is None else voice.clipped * codec.sample_rate
    measured = loudness(voice.samples, codec.sample_rate / codec.frame_rate, frames, clipped)
    return GivenVoice(measured, voice.samples.cpu().float().numpy() if sound else None)
