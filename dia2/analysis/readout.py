"""From the residual stream to logits: the final norm and the heads of the transformer, as the network has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.trace import Dia2Trace
from dia2.common.checks import counted_from_0, short
from dia2.common.errors import UsageError
from dia2.inspect.trace.replaying import chosen_calls
from dia2.runtime.context import RuntimeContext

Head = Literal["cb0", "action"]
HEADS: tuple[Head, ...] = ("cb0", "action")


def check_head(head: object) -> Head:
    """One of `HEADS`.

    Raises:
        UsageError: it is none.
    """
    for known in HEADS:
        if head == known:
            return known
    raise UsageError(f"A head is cb0 or action, not {short(head)}.")


def read_out(runtime: RuntimeContext, stream: Tensor) -> dict[Head, Tensor]:
    """Logits [..., V] float32 of both heads, of a residual stream [..., n_embd] on any device."""
    transformer = runtime.model.transformer
    hidden = transformer.norm(stream.to(runtime.device, runtime.dtype)).float()
    return {"cb0": transformer.cb0_head(hidden).cpu(), "action": transformer.action_head(hidden).cpu()}


def check_token(runtime: RuntimeContext, head: Head, token: int) -> int:
    """A token of a head, as a plain number.

    Raises:
        UsageError: the head has none of that number.
    """
    data = runtime.config.data
    number, count = counted_from_0(token, "token"), data.audio_vocab_size if head == "cb0" else data.action_vocab_size
    if not 0 <= number < count:
        raise UsageError(f"There is no token {number}: {head} has tokens 0 … {count - 1}.")
    return number


def stream_points(layers: int) -> list[str]:
    """The residual stream from the first to the last layer, by its points."""
    return ["act.embed", *(f"act.{layer}.resid" for layer in range(layers))]


def drawing_calls(trace: Dia2Trace, calls: Sequence[int] | slice | None) -> list[int]:
    """Those calls that drew something, ascending; `None`: all of the main loop.

    Raises:
        UsageError: one of them is of the warm-up.
        TraceError: there is none, or one that is not there.
    """
    if calls is None:
        calls = range(trace.warmup_calls, len(trace))
    wanted = sorted(set(chosen_calls(trace, calls)))
    if wanted[0] < trace.warmup_calls:
        raise UsageError(
            f"Call {wanted[0]} is of the warm-up, which draws nothing: calls from {trace.warmup_calls} on do."
        )
    return wanted


def chosen_tokens(trace: Dia2Trace, calls: Sequence[int]) -> dict[Head, np.ndarray]:
    """What the run drew in these calls [n] int64, by head."""
    return {"cb0": trace.codes[calls, 0].astype(np.int64), "action": trace.actions[calls].astype(np.int64)}


def nll(logits: Tensor, tokens: np.ndarray) -> Tensor:
    """−ln p [...] of `tokens` under `logits` [..., V]."""
    return -logits.log_softmax(dim=-1).gather(-1, torch.from_numpy(tokens)[..., None])[..., 0]
