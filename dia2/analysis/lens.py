"""The logit lens: what would be drawn if the network ended after each of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.activations import checkpoint_of, streamed
from dia2.adapter.looking import Looker
from dia2.adapter.replay import check_given, chosen_points
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.gather import check_traces
from dia2.analysis.labels import SpokenWord, labels_of
from dia2.analysis.readout import HEADS, Head, chosen_tokens, drawing_calls, nll, read_out, stream_points
from dia2.common.brief import brief_repr
from dia2.common.errors import UsageError
from dia2.engine import Dia2
from dia2.runtime.context import RuntimeContext

_RIDGE = 1e-3  # of the mean square of an activation, added to each


@dataclass(frozen=True)
class Read:
    """What one head reads, by call and place in the stream."""

    __repr__ = brief_repr

    nll: np.ndarray  # [n, L] float32: −ln p of what the run drew, of the conditional branch's logits
    top: np.ndarray  # [n, L] int64: the likeliest token there
    drawn: np.ndarray  # [n] int64: what the run drew

    @property
    def same(self) -> np.ndarray:
        """[n, L] bool: the likeliest token is already that of the last layer."""
        found: np.ndarray = self.top == self.top[:, -1:]
        return found


@dataclass(frozen=True)
class LogitLens:
    """What codebook 0 and the action would be after each layer, in n calls."""

    __repr__ = brief_repr

    calls: list[int]
    points: list[str]  # [L]: act.embed, then each layer's stream; the last is what was really read out
    cb0: Read
    action: Read
    words: list[SpokenWord]  # whose sound these calls draw
    tuned: bool


@dataclass(frozen=True)
class TunedLens:
    """What takes each layer's stream to where the last layer's would be, made by `fit_lens`."""

    __repr__ = brief_repr

    points: list[str]  # [L]
    weight: Tensor  # [L, n_embd, n_embd] float32: stream · weight + bias
    bias: Tensor  # [L, n_embd]
    checkpoint: str  # of the weights that it was fitted to
    calls: int  # n that it was fitted to


def logit_lens(
    trace: Dia2Trace,
    tts: Dia2,
    calls: Sequence[int] | slice | None = None,
    *,
    lens: TunedLens | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogitLens:
    """Read the residual stream out after each layer, by the final norm and the heads; of the conditional branch.

    Early layers do not write for these heads: what the plain lens reads there is biased (it takes every call for a new
    word). A tuned one is not.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        calls: of the main loop; `None`: all of it.
        lens: of `fit_lens`; `None`: the stream is read out as it is.
        progress: called with (calls done, calls to do).

    Raises:
        UsageError: another checkpoint, or a call of the warm-up.
        TraceError: there is no such call, or the trace was redacted.
    """
    wanted = check_given(trace, tts, drawing_calls(trace, calls))
    runtime = tts.runtime
    points = stream_points(runtime.config.model.decoder.n_layer)
    if lens is not None and lens.checkpoint != checkpoint_of(runtime):
        raise UsageError("This lens was fitted to another checkpoint: fit one by fit_lens(traces, tts).")
    drawn = chosen_tokens(trace, wanted)
    parts: dict[Head, list[tuple[Tensor, Tensor]]] = {head: [] for head in HEADS}
    looker, done = Looker(chosen_points(trace, runtime, points, max(wanted) + 1)), 0
    with runtime.computing():
        for some, acts in streamed(runtime, trace, wanted, looker, progress):
            stream = torch.stack([acts[point][:, 0] for point in points], dim=1)  # [n, L, n_embd]
            if lens is not None:
                stream = torch.einsum("nlw,lwv->nlv", stream, lens.weight) + lens.bias
            for head, logits in read_out(runtime, stream).items():
                here = drawn[head][done : done + len(some), None].repeat(len(points), axis=1)
                parts[head].append((nll(logits, here), logits.argmax(dim=-1)))
            done += len(some)

    def read(head: Head) -> Read:
        cost, top = (torch.cat(found).numpy() for found in zip(*parts[head], strict=True))
        return Read(cost, top, drawn[head])

    words = [word for word in labels_of(trace).words if word.last >= wanted[0] and word.first <= wanted[-1]]
    return LogitLens(wanted, points, read("cb0"), read("action"), words, lens is not None)


def fit_lens(
    traces: Sequence[Dia2Trace] | Dia2Trace,
    tts: Dia2,
    *,
    ridge: float = _RIDGE,
    progress: Callable[[int, int], None] | None = None,
) -> TunedLens:
    """Fit for each layer the affine map that comes closest to the last layer's stream, by least squares with a ridge.

    Args:
        traces: runs to fit to, a few thousand calls in all; not those that the lens is judged by.
        tts: the checkpoint that made them.
        ridge: what is added to each squared weight, as a share of the stream's mean square.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, or no traces.
        TraceError: a trace was redacted.
    """
    listed, runtime = check_traces(traces, "fit_lens"), tts.runtime
    points = stream_points(runtime.config.model.decoder.n_layer)
    width, count = runtime.config.model.decoder.n_embd, 0
    gram = torch.zeros(len(points), width + 1, width + 1, dtype=torch.float64)  # of the stream and a column of ones
    cross = torch.zeros(len(points), width + 1, width, dtype=torch.float64)
    for number, trace in enumerate(listed):
        wanted = check_given(trace, tts, drawing_calls(trace, None))
        looker = Looker(chosen_points(trace, runtime, points, max(wanted) + 1))
        with runtime.computing():
            for some, acts in streamed(runtime, trace, wanted, looker):
                stream = torch.stack([acts[point][:, 0] for point in points]).double()  # [L, n, n_embd]
                ones = torch.ones(*stream.shape[:2], 1, dtype=torch.float64)
                given = torch.cat((stream, ones), dim=-1)
                gram += given.transpose(1, 2) @ given
                cross += given.transpose(1, 2) @ stream[-1]
                count += len(some)
        if progress is not None:
            progress(number + 1, len(listed))
    return _solved(points, gram, cross, ridge, count, runtime)


def _solved(
    points: list[str], gram: Tensor, cross: Tensor, ridge: float, count: int, runtime: RuntimeContext
) -> TunedLens:
    width = cross.shape[-1]
    square = gram.diagonal(dim1=1, dim2=2)[:, :width].mean(dim=1)  # [L]
    held = torch.zeros_like(gram)
    held.diagonal(dim1=1, dim2=2)[:, :width] = (ridge * square)[:, None]  # the bias is free
    found = torch.linalg.solve(gram + held + 1e-9 * torch.eye(width + 1, dtype=torch.float64), cross).float()
    found[-1] = torch.eye(width + 1)[:, :width]  # the last layer's is read out as it is
    return TunedLens(points, found[:, :width], found[:, width], checkpoint_of(runtime), count)
