"""What a trace says of a draw: the chance of what was chosen, down to the last candidate that had one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dia2 import SamplingConfig
from dia2.inspect.draws import (
    BEST,
    DrawTable,
    best_candidates,
    choice_probabilities,
    pack_kept,
    padded,
    unpack_kept,
)
from dia2.runtime.sampler import probabilities

VOCABULARY = 40


def logits() -> torch.Tensor:
    return torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("top_k", [0, 1, 2, 5, VOCABULARY - 1, VOCABULARY, VOCABULARY + 1])
@pytest.mark.parametrize("temperature", [0.0, 0.4, 1.0, 3.0])
def test_every_choice_has_the_chance_that_the_sampler_gave_it(top_k: int, temperature: float) -> None:
    kept = logits()
    every = torch.arange(VOCABULARY)
    found = choice_probabilities(kept.expand(VOCABULARY, -1), every, SamplingConfig(temperature, top_k))
    expected = torch.zeros(VOCABULARY)
    if temperature:
        expected = probabilities(kept[None], temperature, top_k)[0]
    else:
        expected[kept.argmax()] = 1.0
    assert torch.allclose(found, expected, atol=1e-6)
    assert int((found > 0).sum()) == (1 if not temperature else min(top_k, VOCABULARY) if top_k else VOCABULARY)


@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_the_last_of_the_best_has_a_chance_and_the_next_has_none(top_k: int) -> None:
    kept = logits()
    order = kept.argsort(descending=True)
    pair = order[[top_k - 1, top_k]]
    last, beyond = choice_probabilities(kept.expand(2, -1), pair, SamplingConfig(0.7, top_k)).tolist()
    best = (kept[order[:top_k]] / 0.7).softmax(dim=0)
    assert last == pytest.approx(float(best[-1]))
    assert beyond == 0


@pytest.mark.parametrize("rank", [0, BEST - 1, BEST, VOCABULARY - 1])
def test_the_choice_is_among_the_candidates_in_place_of_the_last(rank: int) -> None:
    cond = logits()
    order = cond.argsort(descending=True)
    ids = best_candidates(cond, order[rank]).tolist()
    expected = order[:BEST].tolist()
    if rank >= BEST:
        expected[-1] = int(order[rank])
    assert ids == expected


def test_each_candidate_has_a_bit() -> None:
    for bit in range(BEST):
        kept = torch.zeros(3, BEST, dtype=torch.bool)
        kept[1, bit] = True
        assert pack_kept(kept).tolist() == [0, 1 << bit, 0]
        assert np.array_equal(unpack_kept(pack_kept(kept).numpy()), kept.numpy())


@pytest.mark.parametrize("count", [1, BEST - 1, BEST])
def test_missing_candidates_have_no_id_and_are_not_kept(count: int) -> None:
    ids = torch.arange(count)[None, None]
    table = padded(DrawTable(ids, ids + 1.0, ids + 2.0, ids >= 0, torch.zeros(1, 1), torch.ones(1, 1)))
    assert table.ids[0, 0].tolist() == [*range(count), *[-1] * (BEST - count)]
    assert table.kept[0, 0].tolist() == [True] * count + [False] * (BEST - count)
    assert len(table.draw(0, 0, "cb0").candidates) == count
