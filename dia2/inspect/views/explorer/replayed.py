"""A replay in the explorer: as much of it as a page has room for, and in words what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from dia2.common.errors import UsageError
from dia2.common.wording import counted
from dia2.inspect.schema.view import Columns, Header, View, text
from dia2.inspect.schema.view_draws import logit_steps
from dia2.inspect.schema.view_replay import MOST_LABEL, Looks, Replayed, as_bytes
from dia2.inspect.schema.view_tracks import LOOKS
from dia2.inspect.trace.trace import Trace

ATTENTION_BYTES = 1 << 20  # of a view, before it is compressed
LOGITS_BYTES = 1 << 19  # likewise
_LEAST = 16  # logits of each draw, however many calls there are
_LOGIT_BYTES = 4  # an id and a step
_EXAMPLE = "trace.replay(tts, range(40, 60), attention=True)"


def replay_header(trace: Trace[Any]) -> Header | None:
    """Of a view without a replay: how to get one; `None` where the family has none."""
    if trace.adapter.replayed is None:
        return None
    return {"how": f'trace.to_html("run.html", replay={_EXAMPLE})', "looks": [], "left_out": ""}


def add_replay(view: View, trace: Trace[Any], replay: Any, script: int, *, voice: bool) -> None:
    """Put into a view what a replay has.

    Args:
        view: of the trace.
        trace: whose.
        replay: what `trace.replay` gave; `None`: nothing.
        script: which, from 0.
        voice: with calls that read what was given; without, their logits would tell how it sounds.

    Raises:
        UsageError: it is no replay, or one of another trace; or the family has none.
    """
    view.header["replay"] = header = replay_header(trace)
    if replay is None:
        return
    if header is None:
        raise UsageError(f"{trace.path} is a run of {trace.adapter.title}, which has no replays to show: leave it out.")
    found: Replayed = trace.adapter.load("replayed")(trace, replay, script)
    wanted, places = np.unique(np.asarray(found.calls, np.int64), return_index=True)
    said: list[str] = []
    given = view.header["given"]["calls"]
    if not voice and (wanted < given).any():
        places, wanted = places[wanted >= given], wanted[wanted >= given]
        said.append("calls that read the recordings")
    kept, means = _room(found, wanted)
    if kept < len(wanted):
        said.append(f"{counted(len(wanted) - kept, 'call')} of {len(wanted)}, the last ones")
    if means:
        said.append("single heads, of which each layer has the mean")
    wanted, places = wanted[:kept], places[:kept]
    view.columns["replay_calls"] = wanted.astype(np.int32)
    for i, looks in enumerate(found.looks):
        view.columns[f"look_{i}"] = _packed(looks, wanted, places, means=means)
        header["looks"].append(_look_header(looks, means=means))
    if any(looks.over == "calls" for looks in found.looks):
        view.header["tracks"] = [*view.header["tracks"], LOOKS]
    columns, shown = _logits(found, places)
    view.columns.update(columns)
    most = max((logits.shape[1] for logits in found.logits), default=0)
    if shown < most:
        said.append(f"logits below the best {shown} of each draw")
    header["left_out"] = "; ".join(said)


def _look_header(looks: Looks, *, means: bool) -> Header:
    return {
        "label": looks.label,
        "over": looks.over,
        "layers": len(looks.weights),
        "heads": 1 if means else looks.weights[0].shape[1],
        "means": means,
        "labels": [text(label, MOST_LABEL) for label in looks.labels],
    }


def _room(found: Replayed, calls: np.ndarray) -> tuple[int, bool]:
    """How many of the calls there is room for, and whether for the mean of each layer's heads alone."""
    draws = max(1, len(found.logits))
    kept = min(len(calls), LOGITS_BYTES // (draws * _LEAST * _LOGIT_BYTES))

    def size(heads: bool) -> np.ndarray:
        """[n] bytes of the calls up to each."""
        each = np.zeros(len(calls), np.int64)
        for looks in found.looks:
            places = calls + 1 if looks.over == "calls" else np.full(len(calls), looks.weights[0].shape[2])
            each += len(looks.weights) * (looks.weights[0].shape[1] if heads else 1) * places
        return np.cumsum(each)

    whole, mean = size(heads=True)[:kept], size(heads=False)[:kept]
    means = bool((whole > ATTENTION_BYTES).any())
    return int(((mean if means else whole) <= ATTENTION_BYTES).sum()), means


def _packed(looks: Looks, calls: np.ndarray, places: np.ndarray, *, means: bool) -> np.ndarray:
    """Weights of the calls one after the other: of each [layers, heads, what it can see], see `as_bytes`."""
    parts = []
    for call, place in zip(calls.tolist(), places.tolist(), strict=True):
        weights = np.stack([layer[place] for layer in looks.weights])  # [layers, heads, places]
        if means:
            weights = weights.mean(1, keepdims=True)
        parts.append(as_bytes(weights[..., : call + 1] if looks.over == "calls" else weights).ravel())
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def _logits(found: Replayed, places: np.ndarray) -> tuple[Columns, int]:
    """The best logits of every draw [n, D, T], and T; an id of −1: no logit."""
    count, draws = len(places), len(found.logits)
    if not count or not draws:
        return {}, 0
    most = max(logits.shape[1] for logits in found.logits)
    shown = min(most, max(_LEAST, LOGITS_BYTES // (count * draws * _LOGIT_BYTES)))
    ids = np.full((count, draws, shown), -1, np.int16 if most < 1 << 15 else np.int32)
    values = np.full((count, draws, shown), -np.inf, np.float32)
    total = np.full((count, draws), np.nan, np.float32)
    for draw, logits in enumerate(found.logits):
        own = logits[places].astype(np.float64)
        there = ~np.isnan(own).any(1)
        order = np.argsort(-own[there], axis=1, kind="stable")[:, :shown]
        ids[there, draw, : order.shape[1]] = order
        values[there, draw, : order.shape[1]] = np.take_along_axis(own[there], order, 1)
        best = own[there].max(1, keepdims=True)
        total[there, draw] = (best + np.log(np.exp(own[there] - best).sum(1, keepdims=True)))[:, 0]
    steps, best, step = logit_steps(values, ids >= 0)
    total = np.nan_to_num(total)  # where no id is, there is none
    return {
        "logit_ids": ids,
        "logit_steps": steps.astype(np.uint16),
        "logit_best": best.astype(np.float32),
        "logit_step": step,
        "logit_total": total,
    }, shown
