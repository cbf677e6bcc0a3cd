"""Frames of whichever code PYTHONPATH names, one a line of standard input; what `activations.py` starts.

    python benchmarks/activations_child.py SHAPE DTYPE LAYERS VARIANT …

It says first where its package is. Each line names a variant, `plain` or one with edits; the answer is the seconds of
one frame more of it. The code may be one that has no edits of activations: then `plain` is all that it can give.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from shapes import SCRIPT, SHAPES, runtime

import dia2
from dia2 import GenerationConfig
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import generate_frames
from dia2.runtime.script_parser import parse_script
from dia2.runtime.session import open_session


def edits_of(variant: str, target: RuntimeContext) -> list[Any]:
    """What a variant changes, in a network of these layers."""
    if variant == "plain":
        return []
    from dia2 import Clamp, Steer  # which a code of before has not

    decoder = target.config.model.decoder
    vector = torch.randn(decoder.n_embd, generator=torch.Generator().manual_seed(0))
    layers = range(decoder.n_layer) if variant == "all steered" else [decoder.n_layer // 2]
    if variant == "one clamped":
        return [Clamp(f"act.{layer}.resid", vector, 1.0) for layer in layers]
    return [Steer(f"act.{layer}.resid", vector, 0.01) for layer in layers]


class Run:
    """The main loop of one variant, opened anew when its context is used up."""

    def __init__(self, target: RuntimeContext, variant: str) -> None:
        self._target, self._edits, self._left = target, edits_of(variant, target), 0
        self._frames: Any = None

    def frame(self) -> float:
        """Seconds of one frame more."""
        if not self._left:
            self._open()
        self._left -= 1
        began = time.perf_counter()
        next(self._frames)
        return time.perf_counter() - began

    def _open(self) -> None:
        target, config = self._target, GenerationConfig(seed=1, cfg_scale=2.0)
        entries = parse_script([SCRIPT], target.encode, target.constants, target.frame_rate)
        session = open_session(target, config, None, entries, edits=self._edits)
        self._frames = generate_frames(target, config, session.state, session.gen, start_step=0)
        next(self._frames)
        self._left = target.config.runtime.max_context_steps - 2


def main(shape: str, dtype: str, layers: int, variants: list[str]) -> None:
    """Answer until there are no more lines."""
    print(Path(dia2.__file__).parent, flush=True)  # the answer
    if layers and shape in SHAPES:
        SHAPES[shape]["layers"] = layers
    target = runtime(shape, getattr(torch, dtype))
    with target.computing():
        runs = {variant: Run(target, variant) for variant in variants}
        for line in sys.stdin:
            print(runs[line.strip()].frame(), flush=True)  # the answer


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
