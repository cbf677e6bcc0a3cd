"""From logits to tokens: every rule of the draw, by brute force on plain lists."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dia.sampling import all_or_no_eos, choose, filter_guided, forbid_specials, kept_logits, probabilities

EOS, VOCAB, CHANNELS = 8, 12, 3
NONE = -math.inf
seeds = st.integers(0, 10_000)
scales = st.sampled_from([0.0, 1.0, 3.0, 7.5])


def random_logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def best(values: list[float], count: int) -> set[int]:
    """Ids of the `count` largest."""
    return set(sorted(range(len(values)), key=lambda i: -values[i])[:count])


# Guidance


@given(seed=seeds, scale=scales, keep=st.integers(1, 2 * VOCAB))
def test_guidance_decides_who_stays_and_not_how_likely(seed: int, scale: float, keep: int) -> None:
    uncond, cond = random_logits(2, VOCAB, seed=seed)
    kept = filter_guided(cond, uncond, scale, keep)
    guided = [float(c) + scale * (float(c) - float(u)) for c, u in zip(cond, uncond, strict=True)]
    expected = best(guided, keep)
    assert len(expected) == min(keep, VOCAB)
    for i in range(VOCAB):
        assert float(kept[i]) == (float(cond[i]) if i in expected else NONE)


def test_ids_that_may_not_be_drawn_take_places_among_the_best() -> None:
    """They are forbidden after the filter: here they fill it, and nothing is left."""
    logits = torch.zeros(2, CHANNELS, VOCAB)
    logits[:, :, EOS:] = 5.0
    kept = kept_logits(logits, cfg_scale=3.0, keep=VOCAB - EOS, eos=EOS)
    assert kept.shape == (1, CHANNELS, VOCAB)
    assert [i for i in range(VOCAB) if kept[0, 0, i] > NONE] == [EOS]
    assert bool(torch.isneginf(kept[0, 1:]).all())
    for temperature in (0.0, 1.0):
        tokens = choose(kept, torch.full((1, CHANNELS), 0.7), temperature=temperature, top_p=0.95, top_k=4, eos=EOS)
        assert tokens.tolist() == [[EOS, 0, 0]]


@given(seed=seeds)
def test_what_is_forbidden(seed: int) -> None:
    logits = random_logits(2, CHANNELS, VOCAB, seed=seed)
    kept = forbid_specials(logits, EOS)
    for c in range(CHANNELS):
        for i in range(VOCAB):
            allowed = i < EOS or (i == EOS and c == 0)
            assert torch.equal(kept[:, c, i], logits[:, c, i] if allowed else torch.full((2,), NONE))


def test_the_rows_of_a_script_are_unconditional_and_conditional() -> None:
    logits = random_logits(6, CHANNELS, VOCAB)
    kept = kept_logits(logits, cfg_scale=2.0, keep=3, eos=EOS)
    for i in range(3):
        alone = forbid_specials(filter_guided(logits[2 * i + 1], logits[2 * i], 2.0, 3), EOS)
        assert torch.equal(kept[i], alone)


# The end


@given(seed=seeds)
def test_the_end_is_drawn_only_where_it_is_best_and_then_for_certain(seed: int) -> None:
    logits = random_logits(4, CHANNELS, EOS + 1, seed=seed)
    kept = all_or_no_eos(logits, EOS)
    for b in range(4):
        row = logits[b, 0].tolist()
        if row.index(max(row)) == EOS:
            assert [i for i in range(EOS + 1) if kept[b, 0, i] > NONE] == [EOS]
        else:
            assert torch.equal(kept[b, 0], logits[b, 0].masked_fill(torch.arange(EOS + 1) == EOS, NONE))
        assert torch.equal(kept[b, 1:], logits[b, 1:])


def test_a_tie_does_not_end() -> None:
    logits = torch.zeros(1, 1, EOS + 1)
    assert [i for i in range(EOS + 1) if all_or_no_eos(logits, EOS)[0, 0, i] > NONE] == list(range(EOS))


@given(seed=seeds)
def test_the_greedy_choice_is_the_best_that_is_left(seed: int) -> None:
    kept = kept_logits(random_logits(4, CHANNELS, VOCAB, seed=seed), cfg_scale=3.0, keep=4, eos=EOS)
    tokens = choose(kept, torch.full((2, CHANNELS), 0.5), temperature=0.0, top_p=0.1, top_k=1, eos=EOS)
    for b in range(2):
        for c in range(CHANNELS):
            row = kept[b, c].tolist()
            assert int(tokens[b, c]) == row.index(max(row))


# Temperature, top-k, top-p


def by_hand(logits: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """The distribution in double precision."""
    order = sorted(range(len(logits)), key=lambda i: -logits[i])[:top_k]
    order = [i for i in order if logits[i] > NONE]
    if not order:
        return [1.0] + [0.0] * (len(logits) - 1)
    weights = {i: math.exp((logits[i] - logits[order[0]]) / temperature) for i in order}
    total, passed, kept = sum(weights.values()), 0.0, []
    for i in order:
        if passed > top_p:  # those before it have more than enough; the one that passed the threshold stays
            break
        kept.append(i)
        passed += weights[i] / total
    left = sum(weights[i] for i in kept)
    return [weights[i] / left if i in kept else 0.0 for i in range(len(logits))]


@given(
    seed=seeds,
    temperature=st.sampled_from([0.1, 0.7, 1.2, 4.0]),
    top_k=st.integers(1, 2 * VOCAB),
    top_p=st.sampled_from([0.0, 0.3, 0.8, 0.95, 1.0]),
    cut=st.integers(0, VOCAB),
)
def test_the_distribution(seed: int, temperature: float, top_k: int, top_p: float, cut: int) -> None:
    logits = random_logits(VOCAB, seed=seed)
    logits[cut:] = NONE
    found = probabilities(logits, temperature, top_k, top_p)
    assert found.tolist() == pytest.approx(by_hand(logits.tolist(), temperature, top_k, top_p), abs=1e-5)


@pytest.mark.parametrize(
    ("top_p", "left"), [(0.0, 1), (0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.89, 3), (0.91, 4), (1.0, 4)]
)
def test_the_first_past_the_threshold_stays(top_p: float, left: int) -> None:
    chances = [0.1, 0.4, 0.2, 0.3]
    found = probabilities(torch.tensor(chances).log(), 1.0, 4, top_p)
    assert {i for i in range(4) if found[i] > 0} == set([1, 3, 2, 0][:left])
    assert float(found.sum()) == pytest.approx(1.0)


def test_a_top_p_of_one_keeps_all_of_a_large_vocabulary() -> None:
    """The rounded sum of all passes 1 for some rows."""
    logits = random_logits(64, 1028)
    assert bool((logits.softmax(dim=-1).sort(descending=True).values.cumsum(dim=-1)[:, -1] > 1).any())
    assert bool((probabilities(logits, 1.0, 1028, 1.0) > 0).all())


@pytest.mark.parametrize("temperature", [1e-3, 1e-12, 1e-44, 5e-324])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    kept = kept_logits(random_logits(8, CHANNELS, VOCAB), cfg_scale=1.0, keep=5, eos=EOS)
    drawn = choose(kept, torch.full((4, CHANNELS), 0.999), temperature=temperature, top_p=0.95, top_k=5, eos=EOS)
    greedy = choose(kept, torch.full((4, CHANNELS), 0.5), temperature=0.0, top_p=0.95, top_k=5, eos=EOS)
    assert torch.equal(drawn, greedy)


@given(seed=seeds, temperature=st.sampled_from([0.5, 1.2]), top_p=st.sampled_from([0.5, 0.95, 1.0]))
def test_frequencies_of_draws_are_the_probabilities(seed: int, temperature: float, top_p: float) -> None:
    """Inverse CDF: evenly spread numbers hit every id as often as its probability says, to one of them."""
    count, keep = 2000, 6
    kept = kept_logits(random_logits(2, CHANNELS, VOCAB, seed=seed), cfg_scale=2.0, keep=keep, eos=EOS)
    even = ((torch.arange(count) + 0.5) / count)[:, None].expand(count, CHANNELS)
    tokens = choose(
        kept.expand(count, CHANNELS, VOCAB), even, temperature=temperature, top_p=top_p, top_k=keep, eos=EOS
    )
    row = kept[0, 0].tolist()
    ends = max(row) > NONE and row.index(max(row)) == EOS
    for c in range(CHANNELS):
        logits = kept[0, c].tolist()
        if c == 0:
            logits = [value if (i == EOS) == ends else NONE for i, value in enumerate(logits)]
        expected = by_hand(logits, temperature, keep, top_p)
        counts = torch.bincount(tokens[:, c], minlength=VOCAB).tolist()
        for i in range(VOCAB):
            assert abs(counts[i] - count * expected[i]) <= 1.5
            assert expected[i] > 0 or counts[i] == 0


def test_scripts_and_channels_are_drawn_apart() -> None:
    kept = torch.zeros(2, CHANNELS, EOS)
    uniform = torch.tensor([[0.05, 0.45, 0.95], [0.3, 0.6, 0.99]])
    tokens = choose(kept, uniform, temperature=1.0, top_p=1.0, top_k=99, eos=EOS)
    assert tokens.tolist() == [[0, 3, 7], [2, 4, 7]]
