"""The lens reads the stream as the network reads its end; a tuned one is the least-squares fit that it says it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dia2.analysis import fit_lens, logit_lens
from dia2.common.errors import UsageError
from dia2.inspect import load

from ..support.reference import engine
from ..support.traces import recorded_quickly
from .runs import CHECKPOINT, runs

CALLS = range(8, 20)


def test_each_layer_is_read_out_by_norm_and_heads() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    found, model = logit_lens(trace, tts, CALLS), tts.runtime.model.transformer
    replay = trace.replay(tts, CALLS, points=["act.embed", "act.*.resid"])
    assert found.points == list(replay.acts)
    for column, stream in enumerate(replay.acts.values()):
        x = stream[:, 0]
        normed = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + model.norm.eps) * model.norm.weight
        for read, weight, drawn in (
            (found.cb0, model.cb0_head.weight, trace.codes[CALLS.start : CALLS.stop, 0]),
            (found.action, model.action_head.weight, trace.actions[CALLS.start : CALLS.stop]),
        ):
            logits = normed @ weight.T
            expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(drawn).long(), reduction="none")
            np.testing.assert_allclose(read.nll[:, column], expected.detach(), rtol=1e-4, atol=1e-4)
            assert read.top[:, column].tolist() == logits.argmax(dim=-1).tolist()
            assert read.drawn.tolist() == drawn.tolist()


def test_the_last_layer_is_what_the_network_drew_from() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    found, replay = logit_lens(trace, tts), trace.replay(tts)
    expected = -replay.cb0[:, 0].log_softmax(dim=-1).gather(-1, torch.from_numpy(trace.codes[:, :1]).long())[:, 0]
    np.testing.assert_allclose(found.cb0.nll[:, -1], expected, atol=1e-5)
    assert found.cb0.same[:, -1].all()
    assert not found.cb0.same.all()
    assert found.calls == list(range(len(trace)))
    assert [word.text for word in found.words] == ["one", "two", "three", "four", "five"]


def test_a_tuned_lens_is_the_ridge_fit() -> None:
    tts, (first, second) = engine(CHECKPOINT), runs()[:2]
    lens = fit_lens([first, second], tts, ridge=0.1)
    streams = [trace.replay(tts, points=["act.embed", "act.*.resid"]).acts.values() for trace in (first, second)]
    x = torch.stack([torch.cat([one[:, 0], two[:, 0]]) for one, two in zip(*streams, strict=True)]).double()
    assert lens.calls == x.shape[1] == len(first) + len(second)
    assert torch.equal(lens.weight[-1], torch.eye(x.shape[-1]))
    assert not lens.bias[-1].any()
    for layer, given in enumerate(x[:-1]):
        held = 0.1 * given.square().sum(dim=0).mean()
        shifted, target = given - given.mean(dim=0), x[-1] - x[-1].mean(dim=0)  # the bias is free
        weight = torch.linalg.solve(shifted.T @ shifted + held * torch.eye(given.shape[1]), shifted.T @ target)
        np.testing.assert_allclose(lens.weight[layer], weight, rtol=1e-3, atol=1e-4)
        bias = x[-1].mean(dim=0) - given.mean(dim=0) @ weight
        np.testing.assert_allclose(lens.bias[layer], bias, rtol=1e-3, atol=1e-3)


def test_tuning_helps_and_leaves_the_last_layer() -> None:
    tts, (held, *others) = engine(CHECKPOINT), runs()
    lens = fit_lens(others, tts)
    plain, tuned = logit_lens(held, tts), logit_lens(held, tts, lens=lens)
    assert (plain.tuned, tuned.tuned) == (False, True)
    np.testing.assert_allclose(tuned.cb0.nll[:, -1], plain.cb0.nll[:, -1], rtol=1e-5)
    assert tuned.cb0.nll[:, 0].mean() < plain.cb0.nll[:, 0].mean()


def test_what_does_not_fit_is_refused() -> None:
    tts, trace = engine(CHECKPOINT), runs()[0]
    lens = fit_lens(trace, tts)
    with pytest.raises(UsageError, match="fitted to another checkpoint"):
        logit_lens(trace, tts, lens=replace(lens, checkpoint="other"))
    with pytest.raises(UsageError, match=r"Call 3 is of the warm-up.*from 33 on"):
        logit_lens(load(recorded_quickly()), engine("tiny3"), [40, 3])  # type: ignore[arg-type]  # it is one of Dia2
    with pytest.raises(UsageError, match=r"fit_lens needs traces of Dia2"):
        fit_lens([], tts)
