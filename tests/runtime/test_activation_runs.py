"""Runs whose activations are edited: the network goes on with what torch's own hooks would have given it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dia2 import BatchError, Request, UsageError
from dia2.runtime.activations import Ablate, Steer, Where

from ..support.reference import engine

SCRIPT = "[S1] one two three [S2] four five"


def runs(edits: list[Any], **options: Any) -> Tensor:
    tts = engine("tiny4")
    result = tts.generate(SCRIPT, seed=3, edits=edits, **options)
    return result.audio_tokens


def hooked(layer: int, change: Callable[[int, Tensor], Tensor], **options: Any) -> Tensor:
    """The codes of a run whose residual stream is changed by a hook, call by call."""
    tts, call = engine("tiny4"), -1

    def hook(_: Any, __: Any, out: Tensor) -> Tensor:
        nonlocal call
        call += 1
        return change(call, out)

    with tts.runtime.model.transformer.layers[layer].register_forward_hook(hook):
        return tts.generate(SCRIPT, seed=3, **options).audio_tokens


def vector(seed: int = 1) -> Tensor:
    width = engine("tiny4").runtime.config.model.decoder.n_embd
    return 3 * torch.randn(width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_steered_as_by_a_hook(scale: float) -> None:
    direction, where = vector(), Where(calls=(6, 20), branches="conditional")

    def change(call: int, out: Tensor) -> Tensor:
        if not 6 <= call <= 20:
            return out
        out = out.clone()
        out[:1] += 0.5 * direction
        return out

    found = runs([Steer("act.1.resid", direction, 0.5, where)], cfg_scale=scale)
    assert torch.equal(found, hooked(1, change, cfg_scale=scale))
    assert not torch.equal(found, runs([], cfg_scale=scale))


def test_only_while_a_speaker_speaks() -> None:
    plain = runs([])
    second = runs([Steer("act.1.resid", vector(), where=Where(speakers=(2,)))])
    common = min(plain.shape[-1], second.shape[-1])
    (apart,) = torch.nonzero((plain[0, 0, :common] != second[0, 0, :common]), as_tuple=True)
    result = engine("tiny4").generate(SCRIPT, seed=3)
    begins = next(time for (_, time), speaker in zip(result.timestamps, result.speakers, strict=True) if speaker == 2)
    assert len(apart)
    assert int(apart[0]) / 12.5 >= begins - 0.3


def test_nothing_is_written_where_nothing_holds() -> None:
    assert torch.equal(runs([Steer("act.1.resid", vector(), where=Where(calls=(5000, 5001)))]), runs([]))
    assert torch.equal(runs([Steer("act.1.resid", vector(), 0.0)]), runs([]))


def test_runs_after_it_are_as_they_were() -> None:
    before = runs([])
    assert not torch.equal(runs([Ablate("act.0.heads")]), before)
    assert torch.equal(runs([]), before)


def test_where_it_cannot_be_yet_it_is_refused() -> None:
    tts = engine("tiny4")
    with pytest.raises(BatchError, match="in a batch"):
        tts.generate_many([Request(SCRIPT, edits=[Ablate("act.0.heads")])])
    with pytest.raises(UsageError, match="layers 0 …"):
        runs([Ablate("act.77.heads")])
