"""Some recorded runs of a tiny checkpoint with random weights; recorded once a process, never to be changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from dia2.adapter.trace import Dia2Trace

from ..support.reference import engine

SCRIPTS = ("[S1] one two three [S2] four five", "[S2] you. [S1] no five one", "[S1] hello [S2] two. [S1] three")
CHECKPOINT = "tiny4"


@cache
def runs() -> list[Dia2Trace]:
    """Three of each script."""
    folder, found = Path(mkdtemp(prefix="dia2-test-")), []
    for number in range(3 * len(SCRIPTS)):
        path = folder / f"{number}.dia2trace"
        engine(CHECKPOINT).generate(SCRIPTS[number % len(SCRIPTS)], seed=number, cfg_scale=2.0, trace=path)
        found.append(Dia2Trace.load(path))
    return found
