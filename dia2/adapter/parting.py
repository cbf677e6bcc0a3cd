"""Where two runs of the same script and seed part although nothing but rounding differs, and by how little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.draws import filtered
from dia2.common.errors import TraceError, UsageError
from dia2.core.uniforms import uniform_table
from dia2.inspect.schema.draw import book_of
from dia2.runtime.guidance import special_codes
from dia2.runtime.sampler import ACTION_CHANNEL, probabilities

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace


@dataclass(frozen=True)
class Parting:
    """The first draw of which two runs made something else of the same past."""

    call: int
    draw: str  # action, cb0, dep.1 …
    tokens: tuple[int, int]  # drawn by each
    logits: float  # largest difference of the two runs' logits there
    margin: float  # what rounding had to move: a share of the probability, or of argmax logits

    def __str__(self) -> str:
        first, second = self.tokens
        return (
            f"call {self.call}, {self.draw}: {first} or {second}, a margin of {self.margin:.2g}; "
            f"logits differ by up to {self.logits:.2g}"
        )


def parting(a: Dia2Trace, b: Dia2Trace) -> Parting | None:
    """Where a run and another one of the same settings part, such as a row of a batch and its single run.

    Args:
        a: one of them, recorded with level `full`.
        b: the other, likewise.

    Returns:
        The first draw that is not the same, or `None` if all are.

    Raises:
        UsageError: the runs differ in more than rounding, or the traces keep no logits.
        TraceError: a run ended before it began.
    """
    found = a.diff(b)
    if found.same:
        return None
    if found.settings or found.edits:
        raise UsageError(
            f"{a.path} and {b.path} differ in {(found.settings or found.edits)[0].what}: compare like runs."
        )
    call = found.shared
    if call >= min(len(a), len(b)):
        raise TraceError(f"{a.path} and {b.path} have the same calls, but one of them ends earlier: nothing was drawn.")
    if call < a.warmup_calls or not (ours := a.logits(call)) or not (theirs := b.logits(call)):
        raise UsageError(
            f"{a.path} and {b.path} keep no logits of call {call}, where they part: record with level full."
        )
    chosen = [{"action": int(trace.actions[call])} | _codes(trace, call) for trace in (a, b)]
    for name in chosen[0]:
        tokens = chosen[0][name], chosen[1][name]
        if tokens[0] != tokens[1]:
            logits = _logits_of(ours, name)
            difference = (logits - _logits_of(theirs, name)).abs().max()
            return Parting(call, name, tokens, float(difference), _margin(a, call, name, logits, tokens))
    raise UsageError(f"{a.path} and {b.path} drew the same at call {call}: they differ in more than rounding.")


def _codes(trace: Dia2Trace, call: int) -> dict[str, int]:
    """What was drawn of each codebook, by draw."""
    codes = trace.codes[call].tolist()
    return {"cb0": codes[0]} | {f"dep.{k}": code for k, code in enumerate(codes[1:], 1)}


def _logits_of(logits: dict[str, np.ndarray], name: str) -> Tensor:
    """[B, V] of one draw."""
    kind, _, book = name.partition(".")
    return torch.from_numpy(logits[kind][int(book) - 1] if book else logits[kind])


def _margin(trace: Dia2Trace, call: int, name: str, logits: Tensor, tokens: tuple[int, int]) -> float:
    """By how much the draw of `tokens[0]` misses `tokens[1]`: between its uniform and the edge on that side."""
    config = trace.config_at(call)
    sampling = config.text if name == "action" else config.audio
    specials = special_codes(trace.model.tokens, trace.model.audio_vocabulary)
    kept = filtered(name, logits, config, specials)
    ours, other = tokens
    if sampling.temperature <= 0:
        return float(kept[ours] - kept[other])
    cdf = probabilities(kept, sampling.temperature, sampling.top_k).double().cumsum(0)
    book = book_of(name)
    channel = ACTION_CHANNEL if book is None else 2 + book
    uniform = float(uniform_table(trace.run.seed, call + 1, trace.model.codebooks + 2)[call, channel])
    above = other > ours
    edge = float(cdf[ours]) if above else float(cdf[ours - 1])  # of a token below there is one
    return abs(edge - uniform)
