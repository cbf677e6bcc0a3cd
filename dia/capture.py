"""What an observer wants of every step: copied inside the step, handed over in batches."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.config import DecoderConfig
from dia.generation import GenerationConfig
from dia2.common.hooks import PHASES, Observer
from dia2.runtime.capture import CaptureBuffers, Shapes

ROWS = 16  # steps a ring holds: under 0.2 s of sound
LATEST = 0.2  # seconds within which it is read out, full or not
LOGIT_POINTS = ("logits.channel.", "draw.channel.")


@dataclass(frozen=True)
class Steps:
    """Some rows read in a row, all before the loop or all in it."""

    config: GenerationConfig
    first: int  # number of the first row read; rows, positions, slots and calls count alike
    tokens: Tensor  # [n, B, C] int64: the rows as the decoder saw them
    written: Tensor | None  # [n, B, C] int64: the rows after them; none in prefill, which draws nothing
    drawn: Tensor | None  # [n, B, C] int64: before the countdown forced any; none in prefill
    countdown: Tensor | None  # [n, B] int64 after the step: steps since the end began, −1 before; none in prefill
    seconds: list[float]  # wall time of each step; empty in prefill, which is one pass
    logits: Tensor | None  # [n, 2B, C, V] float32, for each script unconditional first; `None` if nobody asked


def ring_shapes(points: frozenset[str], decoder: DecoderConfig, scripts: int) -> Shapes:
    """The rings that an observer of `points` needs; none if it looks at phases alone."""
    if points <= PHASES:
        return {}
    shapes: Shapes = {"drawn": ((scripts, decoder.num_channels), torch.int64), "countdown": ((scripts,), torch.int64)}
    if any(name.startswith(LOGIT_POINTS) for name in points):
        shapes["logits"] = ((2 * scripts, decoder.num_channels, decoder.vocab_size), torch.float32)
    return shapes


class StepLog:
    """The host side: counts steps and hands them over."""

    def __init__(
        self, observer: Observer, buffers: CaptureBuffers, config: GenerationConfig, tokens: Tensor, first: int
    ) -> None:
        """Begin before the step that reads row `first` of `tokens` [B, rows, C], the run's own table.

        The rings have `ROWS` rows and the shapes of `ring_shapes`.
        """
        self.buffers = buffers
        self._observer, self._config, self._tokens = observer, config, tokens
        self._first, self._seconds = first, list[float]()
        self._began = self._read_out = time.perf_counter()

    def given(self, count: int) -> None:
        """Hand over the rows of the prefill, of which there are `count`."""
        if count:
            tokens = self._tokens[:, :count].transpose(0, 1).cpu()
            self._observer.frames(Steps(self._config, 0, tokens, None, None, None, [], None))
        self._began = self._read_out = time.perf_counter()

    def begin(self) -> None:
        """A step begins: say where it writes."""
        self.buffers.move(len(self._seconds))
        self._began = time.perf_counter()

    def end(self) -> None:
        """The step is over."""
        now = time.perf_counter()
        self._seconds.append(now - self._began)
        if len(self._seconds) == ROWS or now + self._seconds[-1] - self._read_out >= LATEST:
            self.flush()

    def flush(self) -> None:
        """Hand over what is finished."""
        count, first = len(self._seconds), self._first
        if count:
            rows = self._tokens[:, first : first + count + 1].transpose(0, 1).cpu()
            rings = {name: ring[:count].cpu() for name, ring in self.buffers.rings.items()}
            steps = Steps(
                config=self._config,
                first=first,
                tokens=rows[:-1],
                written=rows[1:],
                drawn=rings["drawn"],
                countdown=rings["countdown"],
                seconds=self._seconds,
                logits=rings.get("logits"),
            )
            self._observer.frames(steps)
            self._first, self._seconds = first + count, []
        self._read_out = time.perf_counter()
