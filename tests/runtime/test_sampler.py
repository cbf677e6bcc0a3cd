"""Draws are a function of seed, call and channel, and follow the distribution they are made from."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.uniforms import uniforms
from dia2.generation import GenerationConfig, SamplingConfig
from dia2.runtime.sampler import draw, probabilities

SMALLEST, LARGEST = 2.0**-24, 1 - 2.0**-24
MAX_SEED = 2**64 - 1


def drawn(logits: Tensor, temperature: float, top_k: int, uniform: float) -> int:
    token = draw(logits, temperature, top_k, torch.tensor([uniform]))
    assert (token.shape, token.dtype) == ((1,), torch.int64)
    return int(token)


def philox(seed: int, counter: int) -> list[int]:
    """Four words of Philox 4×64 with 10 rounds, as its authors (Salmon et al. 2011) define it."""
    mask = 2**64 - 1
    words, key = [counter, 0, 0, 0], [seed, 0]
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [high >> 64 ^ words[1] ^ key[0], high & mask, low >> 64 ^ words[3] ^ key[1], low & mask]
        key = [(key[0] + 0x9E3779B97F4A7C15) & mask, (key[1] + 0xBB67AE8584CAA73B) & mask]
    return words


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**63, MAX_SEED])
def test_uniforms_are_the_philox_stream_of_the_seed(seed: int) -> None:
    words = [word for counter in range(1, 16) for word in philox(seed, counter)]
    expected = [((word >> 41) + 0.5) / 2**23 for word in words]
    assert uniforms(seed, 6, 10).flatten().tolist() == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (
            0,
            [
                [0.011546790599822998, 0.24154919385910034, 0.11142581701278687],
                [0.5644146800041199, 0.5023795962333679, 0.2776055932044983],
            ],
        ),
        (
            1,
            [
                [0.3035680651664734, 0.8487088084220886, 0.15613478422164917],
                [0.031106412410736084, 0.9002684950828552, 0.0520666241645813],
            ],
        ),
        (
            MAX_SEED,
            [
                [0.2349415421485901, 0.7173107266426086, 0.4111773371696472],
                [0.7161435484886169, 0.3501620888710022, 0.762890636920929],
            ],
        ),
    ],
)
def test_uniforms_never_change(seed: int, expected: list[list[float]]) -> None:
    assert uniforms(seed, 2, 3).tolist() == expected


@given(st.integers(0, MAX_SEED), st.integers(0, 20), st.integers(0, 20), st.integers(1, 34))
@settings(max_examples=50, deadline=None)
def test_a_longer_table_begins_with_the_shorter_one(seed: int, calls: int, more: int, channels: int) -> None:
    assert torch.equal(uniforms(seed, calls + more, channels)[:calls], uniforms(seed, calls, channels))


def test_uniforms_are_float32_strictly_between_0_and_1() -> None:
    table = uniforms(7, 20_000, 34)
    assert (table.shape, table.dtype) == ((20_000, 34), torch.float32)
    assert table.min() >= SMALLEST
    assert table.max() <= LARGEST
    assert torch.equal(
        table.double() * 2**23 - 0.5, (table.double() * 2**23).floor()
    )  # no value was rounded to a neighbour


def test_uniforms_are_uniform() -> None:
    table = uniforms(3, 20_000, 34)
    counts = torch.histc(table, bins=64, min=0.0, max=1.0).double()
    expected = table.numel() / 64
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert 30 < chi_square < 110  # 63 degrees of freedom: 63 ± 11
    assert (table.mean(dim=0) - 0.5).abs().max() < 0.01
    neighbours = torch.corrcoef(table.T.double()) - torch.eye(34)
    assert neighbours.abs().max() < 0.04


def test_different_seeds_differ() -> None:
    tables = [uniforms(seed, 4, 4) for seed in (0, 1, 2, 2**32, 2**63, MAX_SEED)]
    distinct = {tuple(table.flatten().tolist()) for table in tables}
    assert len(distinct) == len(tables)


def test_a_table_without_calls_is_empty() -> None:
    assert uniforms(0, 0, 5).shape == (0, 5)


def test_temperature_0_takes_the_most_likely_whatever_the_uniform() -> None:
    logits = torch.tensor([1.0, 3.0, -torch.inf, 2.0])
    for top_k in (0, 1, 3):
        assert {drawn(logits, 0.0, top_k, uniform) for uniform in (SMALLEST, 0.5, LARGEST)} == {1}


def test_top_k_1_takes_the_most_likely() -> None:
    logits = torch.tensor([1.0, 3.0, -torch.inf, 2.9])
    assert {drawn(logits, 1.5, 1, uniform) for uniform in (SMALLEST, 0.5, LARGEST)} == {1}


def test_probabilities_are_the_softmax_of_the_tempered_logits() -> None:
    result = probabilities(torch.tensor([1.0, 2.0, 4.0]), 2.0, 0)
    odds = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).exp()
    assert torch.allclose(result.double(), odds / odds.sum(), atol=1e-7)


def test_top_k_keeps_the_ratios_of_those_it_keeps() -> None:
    result = probabilities(torch.tensor([1.0, 0.0, 2.0, 3.0]), 1.0, 2)
    odds = torch.tensor([0.0, 0.0, 2.0, 3.0], dtype=torch.float64).exp() * torch.tensor([0, 0, 1, 1])
    assert torch.allclose(result.double(), odds / odds.sum(), atol=1e-7)


@pytest.mark.parametrize("top_k", [1, 2, 3, 7])
def test_under_ties_exactly_top_k_are_kept(top_k: int) -> None:
    result = probabilities(torch.zeros(8), 1.0, top_k)
    assert sorted(result.tolist()) == pytest.approx([0.0] * (8 - top_k) + [1 / top_k] * top_k)


@pytest.mark.parametrize("top_k", [0, -1, 8, 9, 1000])
def test_top_k_of_0_or_the_vocabulary_keeps_all(top_k: int) -> None:
    assert probabilities(torch.zeros(8), 1.0, top_k).tolist() == [0.125] * 8


logit_values = st.one_of(
    st.floats(-60, 60, width=32), st.just(-torch.inf), st.sampled_from([-1e30, -100.0, 100.0, 1e30])
)
logit_lists = st.lists(logit_values, min_size=1, max_size=12).filter(lambda values: max(values) > -torch.inf)
uniform_values = st.one_of(
    st.sampled_from([SMALLEST, LARGEST]), st.integers(0, 2**23 - 1).map(lambda step: (step + 0.5) / 2**23)
)


@given(logit_lists, st.sampled_from([1e-3, 0.1, 0.6, 0.8, 1.0, 2.0, 1e3]), st.integers(-1, 13), uniform_values)
@settings(max_examples=250, deadline=None)
def test_no_token_of_probability_0_is_drawn(
    values: list[float], temperature: float, top_k: int, uniform: float
) -> None:
    logits = torch.tensor(values)
    assert probabilities(logits, temperature, top_k)[drawn(logits, temperature, top_k, uniform)] > 0


@pytest.mark.parametrize("size", [2, 41, 47, 83, 2050, 50_000])  # some sums of rounded probabilities are below 1
@pytest.mark.parametrize("uniform", [SMALLEST, LARGEST])
def test_the_extreme_uniforms_draw_the_first_and_last_possible_token(size: int, uniform: float) -> None:
    logits = torch.zeros(3 * size)
    logits[:size] = logits[2 * size :] = -torch.inf
    assert drawn(logits, 1.0, 0, uniform) == (size if uniform == SMALLEST else 2 * size - 1)


def test_draws_invert_the_cumulative_distribution_over_token_ids() -> None:
    logits = torch.tensor([0.5, 0.125, -torch.inf, 0.25, 0.125]).log()
    logits[2] = -torch.inf
    edges = [(0.0, 0), (0.5, 1), (0.625, 3), (0.875, 4), (1.0, 4)]
    for (low, token), (high, _) in pairwise(edges):
        assert drawn(logits, 1.0, 0, low + 1e-5) == token
        assert drawn(logits, 1.0, 0, high - 1e-5) == token


def test_a_uniform_on_the_edge_draws_the_upper_token() -> None:
    assert [drawn(torch.zeros(4), 1.0, 0, edge) for edge in (0.25, 0.5, 0.75)] == [1, 2, 3]


@given(logit_lists, st.integers(0, 13), uniform_values, uniform_values)
@settings(max_examples=100, deadline=None)
def test_a_larger_uniform_never_draws_a_smaller_token(
    values: list[float], top_k: int, one: float, other: float
) -> None:
    logits = torch.tensor(values)
    low, high = sorted((one, other))
    assert drawn(logits, 1.0, top_k, low) <= drawn(logits, 1.0, top_k, high)


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.6, 0), (1.5, 5)])
def test_drawn_tokens_are_as_frequent_as_they_are_probable(temperature: float, top_k: int) -> None:
    logits = torch.linspace(-2, 2, 9)[torch.tensor([4, 0, 8, 2, 6, 1, 7, 3, 5])]
    expected = 4000 * probabilities(logits, temperature, top_k).double()
    tokens = [int(draw(logits, temperature, top_k, uniform)) for uniform in uniforms(11, 4000, 1)]
    counts = torch.bincount(torch.tensor(tokens), minlength=9).double()
    possible = expected > 0
    assert counts[~possible].sum() == 0
    chi_square = float(((counts - expected) ** 2 / expected)[possible].sum())
    assert chi_square < 26  # 8 degrees of freedom: 1 in 1000 exceeds it


@pytest.mark.parametrize("temperature", [1e-45, 1e-39, 1e-20, 1e30, 1e38, 1e39, 1e300])
@pytest.mark.parametrize("top_k", [0, 2])
def test_a_temperature_that_the_config_accepts_draws_a_possible_token(temperature: float, top_k: int) -> None:
    try:
        GenerationConfig(audio=SamplingConfig(temperature, top_k))
    except UsageError:
        return
    logits = torch.tensor([1.0, 5.0, -torch.inf, 10.0])
    assert {drawn(logits, temperature, top_k, uniform) for uniform in (SMALLEST, 0.5, LARGEST)} <= {0, 1, 3}
