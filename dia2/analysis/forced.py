"""Runs that read what they are given, side by side, each with activations of its own changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.looking import Looker
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.readout import Head
from dia2.common.errors import UsageError
from dia2.common.reading import Reading
from dia2.core.acts import BlockWrites, Write, Writes
from dia2.core.cache import causal_mask
from dia2.runtime.activation_point import Point
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import activations_of


class Forced:
    """Runs that read given tokens, side by side, without guidance."""

    def __init__(self, runtime: RuntimeContext, trace: Dia2Trace, judged: Sequence[int], count: int) -> None:
        """Have the positions of `trace`'s first `count` calls, and give the logits of those in `judged`.

        Raises:
            UsageError: the trace is of a run whose activations were edited, which would be left out here.
        """
        if activations_of(trace.run.edits):
            raise UsageError(f"{trace.path} has edits of activations, which would be left out: give a run without.")
        self._model, self._device = runtime.model, runtime.device
        positions = torch.from_numpy(trace.column("position")[:count].astype(np.int64)).to(runtime.device)
        cos, sin = self._model.rotation(
            runtime.config.model.decoder.gqa_head_dim, int(positions.max()) + 1, self._device
        )
        self._rotation = cos[positions], sin[positions]
        self._mask = causal_mask(0, count, self._device)
        self._judged = torch.tensor(judged, device=self._device)

    def run(
        self,
        tokens: Tensor,
        writes: Writes | None,
        read: Sequence[Reading] = (),
        kept: Sequence[int] = (),
        into: dict[str, Tensor] | None = None,
    ) -> list[dict[Head, np.ndarray]]:
        """Logits [n, V] of each run, of `tokens` [R, C, T]; what is read in the calls `kept` goes into `into`."""
        transformer = self._model.transformer
        rows = torch.tensor(list(kept), dtype=torch.int64, device=self._device)
        with Looker(read).transformer(transformer.layers, rows, {} if into is None else into, writes) as given:
            out = transformer(tokens.to(self._device), self._rotation, mask=self._mask, writes=given)
        heads = out.cb0_logits[:, self._judged].cpu().numpy(), out.action_logits[:, self._judged].cpu().numpy()
        return [{"cb0": cb0, "action": action} for cb0, action in zip(*heads, strict=True)]


def writes_at(point: str, write: Write, runtime: RuntimeContext) -> Writes:
    """What writes at one point alone."""
    part, layer = Point.to_edit(point)
    if layer is None:
        return Writes(embed=write) if part == "embed" else Writes(hidden=write)
    blocks: list[BlockWrites | None] = [None] * runtime.config.model.decoder.n_layer
    blocks[layer] = BlockWrites()._replace(**{part: write})
    return Writes(layers=tuple(blocks))
