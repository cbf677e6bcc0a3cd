"""Runs that are recorded and killed: each is a fork of this process, which has loaded the model once.

    python -m tests.support.nursery FOLDER KILLS SCRIPT SEED

The moments are drawn from a seeded generator, from before the trace's folder exists to after the run's end.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from dia2.inspect.record import recorder
from dia2.runtime import capture as buffers

from .reference import engine


def main(folder: Path, kills: int, script: str, seed: int) -> None:
    """Leave FOLDER/0.dia2trace … of killed runs and FOLDER/whole.dia2trace of one that was not."""
    torch.set_num_threads(1)
    recorder.SHARD_CALLS, buffers.LATEST = 2, 0.0
    engine("tiny8").generate(script, seed=seed, trace=folder / "whole.dia2trace")  # loads, and warms up
    began = time.perf_counter()
    engine("tiny8").generate(script, seed=seed, trace=folder / "whole.dia2trace")
    whole = time.perf_counter() - began
    chance = random.Random(kills)
    for index in range(kills):
        # One stretch of the run for each kill, in which its moment is drawn; short ones where the files begin.
        moment = 1.15 * whole * ((index + chance.random()) / kills) ** 2
        victim = os.fork()
        if victim == 0:
            engine("tiny8").generate(script, seed=seed, trace=folder / f"{index}.dia2trace")
            time.sleep(60)
            os._exit(0)
        time.sleep(moment)
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
