"""What a recorder keeps of a voice that a run goes on from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dia2.adapter.loudness import Loudness, loudness
from dia2.audio.codec import Codec
from dia2.common.hooks import unobserved
from dia2.runtime.voice_file import Voice


class GivenVoice(NamedTuple):
    """One speaker's part of a prefix."""

    loudness: Loudness
    samples: np.ndarray | None  # [N] float32 or int16 at the codec's rate; `None`: not to be kept


def given_voice(voice: Voice, codec: Codec, *, sound: bool) -> GivenVoice:
    """What is kept of `voice`, with or without its sound.

    Of a `.voice` file, which holds none, it is what the codec makes of its codes: what the model goes on from. Whether
    the recording was clipped is not known then.
    """
    samples, clipped = voice.samples, None
    if samples is None:
        with unobserved():
            samples = codec.decode(voice.codes.to(codec.device))
    elif voice.clipped is not None:
        clipped = voice.clipped * codec.sample_rate
    measured = loudness(samples, codec.sample_rate / codec.frame_rate, voice.codes.shape[1], clipped)
    return GivenVoice(measured, samples.cpu().float().numpy() if sound else None)
