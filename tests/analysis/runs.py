"""Some recorded runs of a tiny checkpoint with random weights; recorded once a process, never to be changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import Tensor

from dia2 import Steer, Where
from dia2.adapter.trace import Dia2Trace

from ..support.reference import engine

SCRIPTS = ("[S1] one two three [S2] four five", "[S2] you. [S1] no five one", "[S1] hello [S2] two. [S1] three")
CHECKPOINT = "tiny4"


@cache
def steered() -> tuple[Dia2Trace, Tensor]:
    """A run whose layer 1 is steered, and what is added there from call 9 on: [n_embd]."""
    width = engine(CHECKPOINT).runtime.config.model.decoder.n_embd
    vector = torch.randn(width, generator=torch.Generator().manual_seed(4))
    path = Path(mkdtemp(prefix="dia2-test-")) / "steered.dia2trace"
    edit = Steer("act.1.resid", vector, 0.5, where=Where(calls=(9, 9999)))
    engine(CHECKPOINT).generate(SCRIPTS[0], seed=1, edits=[edit], trace=path)
    return Dia2Trace.load(path), 0.5 * vector


@cache
def runs() -> list[Dia2Trace]:
    """Three of each script."""
    folder, found = Path(mkdtemp(prefix="dia2-test-")), []
    for number in range(3 * len(SCRIPTS)):
        path = folder / f"{number}.dia2trace"
        engine(CHECKPOINT).generate(SCRIPTS[number % len(SCRIPTS)], seed=number, cfg_scale=2.0, trace=path)
        found.append(Dia2Trace.load(path))
    return found
