"""Where two runs of the same script and seed part although nothing but rounding differs, and by how little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.draws import filtered
from dia2.common.errors import UsageError
from dia2.core.uniforms import uniform_table
from dia2.inspect.schema.draw import book_of
from dia2.runtime.guidance import guide, special_codes
from dia2.runtime.sampler import ACTION_CHANNEL, probabilities

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace
    from dia2.inspect.trace.diff import Diff


# `probability`: between the uniform and the edge of the other token; `best`: between the two logits, of an argmax;
# `guided`, `kept`: to what the guidance filter, or top-k, lets through, which the other token was not among.
Moved = Literal["probability", "best", "guided", "kept"]
_TOLD: dict[Moved, str] = {
    "probability": "token in probability",
    "best": "token's logit",
    "guided": "token's passing the guidance filter, in guided logits",
    "kept": "token's being among the top-k, in logits",
}


@dataclass(frozen=True)
class Parting:
    """The first draw of which two runs made something else of the same past."""

    call: int
    draw: str  # action, cb0, dep.1 …
    tokens: tuple[int, int]  # drawn by each
    logits: float  # largest difference of the two runs' logits there
    margin: float  # what rounding had to move
    of: Moved  # what that is

    def __str__(self) -> str:
        first, second = self.tokens
        return (
            f"call {self.call}, {self.draw}: {first} or {second}, {self.margin:.2g} from the other {_TOLD[self.of]}; "
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
    """
    found = a.diff(b)
    if found.same:
        return None
    reason = _untellable(a, b, found)
    if reason is not None:
        raise UsageError(f"{a.path} and {b.path} {reason}.")
    call = found.shared
    ours, theirs = a.logits(call), b.logits(call)
    chosen = [{"action": int(trace.actions[call])} | _codes(trace, call) for trace in (a, b)]
    for name in chosen[0]:
        tokens = chosen[0][name], chosen[1][name]
        if tokens[0] != tokens[1]:
            logits = _logits_of(ours, name)
            difference = (logits - _logits_of(theirs, name)).abs().max()
            return Parting(call, name, tokens, float(difference), *_margin(a, call, name, logits, tokens))
    raise AssertionError("something was drawn otherwise")


def told(a: Dia2Trace, b: Dia2Trace) -> Parting | None:
    """`parting`, or `None` where there is none to be told."""
    found = a.diff(b)
    return None if found.same or _untellable(a, b, found) else parting(a, b)


def _untellable(a: Dia2Trace, b: Dia2Trace, found: Diff) -> str | None:
    """Why it cannot be told at which draw two runs that are not the same part."""
    call = found.shared
    if found.settings or found.edits:
        return f"differ in {(found.settings or found.edits)[0].what}: compare like runs"
    if call >= min(len(a), len(b)):
        return "have the same calls, but one of them ends earlier: nothing was drawn"
    if call < a.warmup_calls or not a.logits(call) or not b.logits(call):
        return f"keep no logits of call {call}, where they part: record with level full"
    if a.actions[call] == b.actions[call] and (a.codes[call] == b.codes[call]).all():
        return f"drew the same at call {call}: they differ in more than rounding"
    return None


def _codes(trace: Dia2Trace, call: int) -> dict[str, int]:
    """What was drawn of each codebook, by draw."""
    codes = trace.codes[call].tolist()
    return {"cb0": codes[0]} | {f"dep.{k}": code for k, code in enumerate(codes[1:], 1)}


def _logits_of(logits: dict[str, np.ndarray], name: str) -> Tensor:
    """[B, V] of one draw."""
    kind, _, book = name.partition(".")
    return torch.from_numpy(logits[kind][int(book) - 1] if book else logits[kind])


def _margin(trace: Dia2Trace, call: int, name: str, logits: Tensor, tokens: tuple[int, int]) -> tuple[float, Moved]:
    """By how much the draw of `tokens[0]` misses `tokens[1]`."""
    config = trace.config_at(call)
    sampling = config.text if name == "action" else config.audio
    kept = filtered(name, logits, config, special_codes(trace.model.tokens, trace.model.audio_vocabulary))
    ours, other = tokens
    if kept[other] == -torch.inf:
        guided = guide(logits, config.cfg_scale)
        return float(guided[kept > torch.finfo(kept.dtype).min].min() - guided[other]), "guided"
    if sampling.temperature <= 0:
        return float(kept[ours] - kept[other]), "best"
    chances = probabilities(kept, sampling.temperature, sampling.top_k).double()
    if not chances[other]:
        return float(kept[chances > 0].min() - kept[other]), "kept"
    cdf, book = chances.cumsum(0), book_of(name)
    channel = ACTION_CHANNEL if book is None else 2 + book
    uniform = float(uniform_table(trace.run.seed, call + 1, trace.model.codebooks + 2)[call, channel])
    edge = float(cdf[ours]) if other > ours else float(cdf[ours - 1])  # of a token below there is one
    return abs(edge - uniform), "probability"
