"""What a trace says of a draw: the chance of what was chosen, down to the last candidate that had one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from dia2 import GenerationConfig, SamplingConfig
from dia2.adapter.draws import choice_probabilities, draw_table
from dia2.inspect.record.draws import DrawTable, best_candidates, pack_kept, padded
from dia2.inspect.schema.draw import BEST, unpack_kept
from dia2.runtime.observed import Frames
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


def frames(branches: int, scale: float, calls: int, codebooks: int = 4) -> Frames:
    """Calls whose logits and choices are all different."""
    chance = torch.Generator().manual_seed(branches)
    logits = {
        "action": torch.randn(calls, branches, 3, generator=chance),
        "cb0": torch.randn(calls, branches, VOCABULARY, generator=chance),
        "dep": torch.randn(calls, codebooks - 1, branches, VOCABULARY - 2, generator=chance),
    }
    codes = torch.randint(0, VOCABULARY - 2, (calls, codebooks), generator=chance)
    config = GenerationConfig(
        text=SamplingConfig(0.6, 2), audio=SamplingConfig(0.9, 12), cfg_scale=scale, cfg_filter_k=20
    )
    machine = [SimpleNamespace(action=action) for action in (2, 0, 1)[:calls]]
    return Frames(config, [], cast(Any, machine), [], torch.zeros(0), codes, logits)


@pytest.mark.parametrize("names", [["action", "cb0", "dep.1", "dep.2", "dep.3"], ["cb0"], ["dep.3", "dep.1"]])
@pytest.mark.parametrize(("branches", "scale", "calls"), [(2, 3.0, 3), (2, 0.5, 1), (2, 1.0, 3), (1, 1.0, 3)])
def test_a_table_holds_what_each_draw_was_made_from(branches: int, scale: float, calls: int, names: list[str]) -> None:
    made = frames(branches, scale, calls)
    assert made.codes is not None
    specials = torch.arange(VOCABULARY) >= VOCABULARY - 2
    table = draw_table(made, names, specials)
    assert table.ids.shape == (calls, len(names), BEST)
    order = sorted(names, key=["action", "cb0", *names].index)
    for column, name in enumerate(order):
        book = 0 if name in ("action", "cb0") else int(name[4:])
        for call in range(calls):
            whole = made.logits[name][call] if name in made.logits else made.logits["dep"][call, book - 1]
            cond = whole[0]  # [V]
            guided = whole[1] + scale * (cond - whole[1]) if scale != 1 else cond
            kept = guided >= guided.sort(descending=True).values[min(20, len(cond)) - 1]
            kept = kept | (scale == 1)  # nothing is filtered
            if name == "cb0":
                kept = kept & ~specials
            choice = int(made.machine[call].action if name == "action" else made.codes[call, book])
            draw = table.draw(call, column, name)
            assert draw.choice == choice
            best = cond.argsort(descending=True)[: min(BEST, len(cond))].tolist()
            assert [c.token for c in draw.candidates] == (best if choice in best else [*best[:-1], choice])
            for c in draw.candidates:
                assert (c.cond, c.guided) == pytest.approx((float(cond[c.token]), float(guided[c.token])), abs=1e-5)
                assert c.kept == bool(kept[c.token])
            temperature, top_k = (0.6, 2) if name == "action" else (0.9, 12)
            expected = probabilities(cond.masked_fill(~kept, -torch.inf)[None], temperature, top_k)[0, choice]
            assert draw.probability == pytest.approx(float(expected), abs=1e-5)
