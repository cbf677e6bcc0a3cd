"""What reading a sound file needs of whatever decodes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEP = 2.0**-15  # between neighbouring values of 16 bits
_STEPS = {"PCM_U8": 2.0**-7, "PCM_S8": 2.0**-7, "ULAW": 2.0**-5, "ALAW": 2.0**-5}  # laws: of the loudest values


@dataclass(frozen=True)
class Source:
    """An open sound file."""

    rate: int  # Hz
    channels: int
    read: Callable[[int], np.ndarray]  # so many frames [N, C] float32, fewer at the end, then none
    step: float = STEP  # between neighbouring values near full scale
    promised: int | None = None  # frames that there should be; `None`: unknown


def step_of(subtype: str) -> float:
    """The coarsest step of a sample format that libsndfile names; finer ones than 16 bits count as 16."""
    return _STEPS.get(subtype, STEP)
