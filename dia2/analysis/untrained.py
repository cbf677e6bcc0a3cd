"""The same network before it has learnt anything, as a baseline: what can be read of it, the input gave."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import torch

from dia2.core.initial import initialise
from dia2.core.model import Dia2Model
from dia2.engine import Dia2


def untrained(tts: Dia2, seed: int = 0) -> Dia2:
    """An engine whose network has the checkpoint's shape and random weights.

    It is known by the checkpoint's name, so that it reads the tokens of the checkpoint's runs: for use within this
    package, since whatever it recorded would be taken for the checkpoint's.

    Args:
        tts: of the checkpoint.
        seed: of the weights, which are drawn as those that training begins with.
    """
    runtime = tts.runtime
    model = Dia2Model(runtime.config, runtime.dtype)
    initialise(model, torch.Generator().manual_seed(seed))
    other = copy(tts)
    other._runtime = replace(runtime, model=model.to(runtime.device).eval().requires_grad_(False))
    return other
