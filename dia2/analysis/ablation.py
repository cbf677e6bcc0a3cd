"""Which heads a run needs: what it costs to put a head's mean in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dia2.adapter.activations import streamed
from dia2.adapter.looking import Looker
from dia2.adapter.replay import check_given, chosen_points
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.forced import Forced, writes_at
from dia2.analysis.gather import check_traces
from dia2.analysis.intervals import by_runs
from dia2.analysis.readout import HEADS, Head, chosen_tokens, drawing_calls, nll
from dia2.common.brief import brief_repr
from dia2.core.acts import Write
from dia2.engine import Dia2


@dataclass(frozen=True)
class HeadAblation:
    """What it costs, over n calls of some runs, when one head gives its mean whatever it looks at."""

    __repr__ = brief_repr

    cb0: np.ndarray  # [layers, heads] float64: nats by which what the run drew of codebook 0 is less likely
    action: np.ndarray  # [layers, heads] likewise, of the action
    low: dict[Head, np.ndarray]  # [layers, heads] by head: a 95 % interval, runs drawn with replacement
    high: dict[Head, np.ndarray]
    intact: dict[Head, float]  # −ln p of what was drawn with all heads as they are
    calls: int
    runs: int

    def best(self, count: int = 5) -> list[tuple[int, int]]:
        """(layer, head) of those whose loss costs codebook 0 most, first."""
        order = np.argsort(-self.cb0, axis=None, kind="stable")[:count]
        return [(int(layer), int(head)) for layer, head in zip(*np.unravel_index(order, self.cb0.shape), strict=True)]


def ablate_heads(
    traces: Sequence[Dia2Trace] | Dia2Trace,
    tts: Dia2,
    *,
    means: Sequence[Dia2Trace] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> HeadAblation:
    """Ablate one head after the other, in runs that read the tokens that they are given; of the conditional branch.

    Args:
        traces: runs of one checkpoint.
        tts: that checkpoint.
        means: runs whose calls the means are of; `None`: `traces`.
        seed: of the interval's draws.
        progress: called with (traces done, traces to do).

    Raises:
        UsageError: another checkpoint, or no traces.
        TraceError: a trace was redacted.
    """
    listed, runtime = check_traces(traces, "ablate_heads"), tts.runtime
    block = runtime.config.model.decoder
    shape = (block.n_layer, block.gqa_query_heads)
    instead = _means(listed if means is None else check_traces(means, "ablate_heads' means"), tts)
    added = {head: np.zeros((len(listed), *shape)) for head in HEADS}  # nats, summed over calls
    intact = dict.fromkeys(HEADS, 0.0)
    counts = np.zeros(len(listed))
    for number, trace in enumerate(listed):
        calls = check_given(trace, tts, drawing_calls(trace, None))
        count, drawn = max(calls) + 1, chosen_tokens(trace, calls)
        forced = Forced(runtime, trace, calls, count)
        tokens = torch.from_numpy(trace.step_tokens[:count, 0].astype(np.int64)).T[None]  # [1, C, T]
        with runtime.computing():
            before = _costs(forced.run(tokens, None)[0], drawn)
            for layer, values in enumerate(instead):  # [heads, head_dim]
                heads = len(values)
                keep = 1 - torch.eye(heads)[:, None, :, None]  # [run, 1, heads, 1]: each run lacks a head
                add = torch.eye(heads)[:, None, :, None] * values[None, None]
                write = Write(keep.to(runtime.device), add.to(runtime.device))
                writes = writes_at(f"act.{layer}.heads", write, runtime)
                found = forced.run(tokens.expand(heads, -1, -1), writes)
                for row, logits in enumerate(found):
                    for head, cost in _costs(logits, drawn).items():
                        added[head][number, layer, row] = cost - before[head]
        for head in HEADS:
            intact[head] += before[head]
        counts[number] = len(calls)
        if progress is not None:
            progress(number + 1, len(listed))
    total = counts.sum()
    ends = {head: by_runs(sums, counts, seed) for head, sums in added.items()}
    return HeadAblation(
        cb0=added["cb0"].sum(axis=0) / total,
        action=added["action"].sum(axis=0) / total,
        low={head: low for head, (low, _) in ends.items()},
        high={head: high for head, (_, high) in ends.items()},
        intact={head: cost / total for head, cost in intact.items()},
        calls=int(total),
        runs=len(listed),
    )


def _means(traces: Sequence[Dia2Trace], tts: Dia2) -> list[Tensor]:
    """By layer what each head gives in the mean over all calls that draw: [heads, head_dim] float32."""
    sums: dict[str, Tensor] = {}
    count = 0
    for trace in traces:
        calls = check_given(trace, tts, drawing_calls(trace, None))
        looker = Looker(chosen_points(trace, tts.runtime, "act.*.heads", max(calls) + 1))
        with tts.runtime.computing():
            for some, acts in streamed(tts.runtime, trace, calls, looker):
                count += len(some)
                for name, values in acts.items():
                    sums[name] = sums.get(name, torch.zeros(())) + values[:, 0].double().sum(dim=0)
    layers = range(tts.runtime.config.model.decoder.n_layer)
    return [(sums[f"act.{layer}.heads"] / count).float() for layer in layers]


def _costs(logits: dict[Head, np.ndarray], drawn: dict[Head, np.ndarray]) -> dict[Head, float]:
    """−ln p of what was drawn, summed over calls, by head."""
    return {head: float(nll(torch.from_numpy(logits[head]), drawn[head]).double().sum()) for head in HEADS}
