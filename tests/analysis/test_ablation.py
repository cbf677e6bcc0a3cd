"""Ablated heads give their mean and nothing else, as torch's own hooks would have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dia2.analysis import ablate_heads
from dia2.analysis.intervals import by_runs
from dia2.core.cache import causal_mask

from ..support.reference import engine
from .runs import CHECKPOINT, runs


def costs_by_hook(layer: int, head: int | None, mean: Tensor) -> tuple[float, float]:
    """−ln p of codebook 0 and of the action in the first two runs, with one head's mean in its place."""
    tts, sums, calls = engine(CHECKPOINT), np.zeros(2), 0
    model, dim = tts.runtime.model.transformer, tts.runtime.config.model.decoder.gqa_head_dim
    block: Any = model.layers[layer]

    def change(_: Any, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        z = given[0].clone()
        if head is not None:
            z[..., head * dim : (head + 1) * dim] = mean
        return (z,)

    for trace in runs()[:2]:
        tokens = torch.from_numpy(trace.step_tokens[:, 0].astype(np.int64)).T[None]
        rotation = tts.runtime.model.rotation(dim, len(trace), tokens.device)
        with block.attn.o_proj.register_forward_pre_hook(change), torch.no_grad():
            out = model(tokens, rotation, mask=causal_mask(0, len(trace), tokens.device))
        pairs = ((out.cb0_logits[0], trace.codes[:, 0]), (out.action_logits[0], trace.actions))
        for place, (logits, drawn) in enumerate(pairs):
            target = torch.from_numpy(drawn.astype(np.int64))
            sums[place] += float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
        calls += len(trace)
    return sums[0] / calls, sums[1] / calls


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 2), (1, 1)])
def test_it_costs_what_a_hook_would_find(layer: int, head: int) -> None:
    tts, point = engine(CHECKPOINT), f"act.{layer}.heads"
    found = ablate_heads(runs()[:2], tts)
    mean = torch.cat([trace.replay(tts, points=point).acts[point][:, 0, head] for trace in runs()[:2]]).mean(dim=0)
    before, after = costs_by_hook(layer, None, mean), costs_by_hook(layer, head, mean)
    assert (found.intact["cb0"], found.intact["action"]) == pytest.approx(before, rel=1e-4)
    assert found.cb0[layer, head] == pytest.approx(after[0] - before[0], rel=1e-2, abs=1e-4)
    assert found.action[layer, head] == pytest.approx(after[1] - before[1], rel=1e-2, abs=1e-4)
    assert abs(after[0] - before[0]) > 0.01
    assert found.calls == sum(map(len, runs()[:2]))


def test_the_means_can_be_those_of_other_runs() -> None:
    own, others = (ablate_heads(runs()[:2], engine(CHECKPOINT), means=means) for means in (None, runs()[4:]))
    assert own.intact == others.intact
    assert not np.allclose(own.cb0, others.cb0)


def test_the_interval_is_around_the_mean_and_seeded() -> None:
    first, again, other = (ablate_heads(runs(), engine(CHECKPOINT), seed=seed) for seed in (1, 1, 2))
    for head, mean in (("cb0", first.cb0), ("action", first.action)):
        low, high = first.low[head], first.high[head]  # type: ignore[index]  # one of both
        assert (low <= mean + 1e-9).all()
        assert (high >= mean - 1e-9).all()
        assert (high - low).max() > 0
    assert np.array_equal(first.low["cb0"], again.low["cb0"])
    assert not np.array_equal(first.low["cb0"], other.low["cb0"])
    costs = [first.cb0[place] for place in first.best(3)]
    assert costs == sorted(first.cb0.flatten(), reverse=True)[:3]


def test_runs_are_drawn_and_not_calls() -> None:
    """Half of the runs have all of it: the interval is that of runs, however many calls each has."""
    few, many = (by_runs(np.array([0.0, n] * 5), np.full(10, n), 0) for n in (1.0, 1000.0))
    assert few[0] == pytest.approx(many[0])
    assert 0.1 < float(few[0]) < 0.3 < 0.7 < float(few[1]) < 0.9
    lopsided = by_runs(np.array([90.0, 0.0]), np.array([90.0, 10.0]), 0)
    assert (float(lopsided[0]), float(lopsided[1])) == (0.0, 1.0)
