"""Draws in one kernel: the token that guidance, filter and draw give one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dia2.core.kernels.draw import draw_guided
from dia2.runtime.guidance import filter_guided, forbid_specials
from dia2.runtime.sampler import draw

pytestmark = pytest.mark.filterwarnings(  # NumPy's, of ∞ − ∞ and of the least float32 / 0.8
    "ignore:(invalid value|overflow) encountered:RuntimeWarning"
)

SETTINGS: list[tuple[float, int, float, int]] = [  # guidance, its filter, temperature, top-k
    (2.0, 50, 0.8, 50),
    (2.0, 5, 0.8, 50),
    (2.0, 5, 1.3, 3),
    (3.0, 1, 0.6, 50),
    (1.0, 50, 0.8, 50),
    (1.0, 50, 0.8, 1),
    (0.0, 3, 1.0, 2),
    (2.0, 50, 0.0, 50),
    (1.0, 0, 0.0, 0),
    (2.0, 0, 100.0, 7),
    (2.0, 10_000, 0.05, 10_000),
    (1.5, -1, 1.0, -1),
]


def eager(
    logits: Tensor, scale: float, filter_k: int, temperature: float, top_k: int, uniform: Tensor, specials: Any
) -> int:
    kept = filter_guided(logits, scale, filter_k)
    if specials is not None:
        kept = forbid_specials(kept, logits[0], specials)
    return int(draw(kept, temperature, top_k, uniform))


def bounds(logits: Tensor, scale: float, filter_k: int, temperature: float, top_k: int, specials: Any) -> np.ndarray:
    """Cumulated chances in float64; of equals at the bound of `top_k` the first ones stay, as the kernel has it."""
    kept = filter_guided(logits, scale, filter_k)
    if specials is not None:
        kept = forbid_specials(kept, logits[0], specials)
    chances = torch.softmax(kept / temperature, dim=-1).double().numpy()
    if 0 < top_k < len(chances):
        order = np.argsort(-chances, kind="stable")
        chances[order[top_k:]] = 0.0
    cumulated: np.ndarray = np.cumsum(chances / chances.sum())
    return cumulated


def agrees(logits: Tensor, setting: tuple[float, int, float, int], uniform: Tensor, specials: Any = None) -> bool:
    """Whether the draw is the eager one; else the uniform has to lie on the bound of the two tokens, or torch chose
    another one of equals."""
    found = draw_guided(logits, *setting, uniform, specials)
    assert found.shape == (1,)
    assert found.dtype == torch.int64
    if int(found) == eager(logits, *setting, uniform, specials):
        return True
    scale, filter_k, temperature, top_k = setting
    assert temperature > 0, "the most likely token is no matter of rounding"
    cdf = bounds(logits, scale, filter_k, temperature, top_k, specials)
    low = cdf[int(found) - 1] if int(found) else 0.0
    return bool(low - 1e-6 <= float(uniform) <= cdf[int(found)] + 1e-6) and cdf[int(found)] > low


@settings(max_examples=120, deadline=None)
@given(
    vocabulary=st.sampled_from([2, 3, 19, 64, 65, 300]),
    branches=st.integers(1, 2),
    kind=st.sampled_from(["plain", "steps", "equal", "ruled out", "steep"]),
    setting=st.sampled_from(SETTINGS),
    special=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_a_draw_is_the_eager_one(
    vocabulary: int, branches: int, kind: str, setting: tuple[float, int, float, int], special: bool, seed: int
) -> None:
    logits = rows(vocabulary, kind, seed)
    if branches == 1:
        logits, setting = logits[:1], (1.0, *setting[1:])
    chance = torch.Generator().manual_seed(seed)
    specials = torch.rand(vocabulary, generator=chance) < 0.3 if special else None
    assert agrees(logits, setting, torch.rand(1, generator=chance), specials)


def rows(vocabulary: int, kind: str, seed: int) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(2, 3, vocabulary, generator=chance)[:, 1]  # rows lie apart
    if kind == "steps":  # few different values, so many equals at every bound
        logits = logits.round()
    elif kind == "equal":
        logits = torch.full_like(logits, -0.0)
    elif kind == "ruled out":
        logits[:, torch.rand(vocabulary, generator=chance) < 0.5] = -math.inf
    elif kind == "steep":
        logits = 100 * logits
    return logits


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_thousands_of_draws_are_the_eager_ones(setting: tuple[float, int, float, int]) -> None:
    kinds = ("plain", "plain", "steps", "ruled out")
    for seed in range(250):
        uniform = torch.rand(1, generator=torch.Generator().manual_seed(seed))
        assert agrees(rows((2048, 2050)[seed % 2], kinds[seed % 4], seed), setting, uniform), seed


@pytest.mark.parametrize(
    ("values", "specials", "uniform", "expected"),
    [
        ([0.0, math.nan, 1.0], None, 0.9, 0),  # no chance is a number: the eager form takes token 0
        ([-math.inf] * 3, None, 0.9, 0),
        ([0.0, math.inf, 1.0], None, 0.9, 0),
        ([0.0, 1.0, 2.0], [True] * 3, 0.9, 2),  # nothing may be drawn: all are equally unlikely
        ([0.0, 1.0, 2.0], [False, True, True], 0.999, 0),
        ([-200.0, 0.0, -200.0], None, 1e-7, 1),  # a token without a chance is not hit
        ([-200.0, 0.0, -200.0], None, 0.9999999, 1),
    ],
)
def test_at_the_edges(values: list[float], specials: list[bool] | None, uniform: float, expected: int) -> None:
    logits, u = torch.tensor([values, values]), torch.tensor([uniform])
    forbidden = None if specials is None else torch.tensor(specials)
    for setting in ((1.0, 0, 1.0, 0), (1.0, 0, 1.0, 2)):
        found = int(draw_guided(logits, *setting, u, forbidden))
        assert found == eager(logits, *setting, u, forbidden)
        if setting[3] == 0:
            assert found == expected


@pytest.mark.parametrize("values", [[1.0, 3.0, 3.0, 2.0], [0.0, math.nan, 5.0, math.nan], [-0.0, 0.0, -1.0, 0.0]])
def test_without_temperature_the_first_of_the_most_likely_is_taken(values: list[float]) -> None:
    logits = torch.tensor([values, values])
    setting = (1.0, 0, 0.0, 0)
    assert int(draw_guided(logits, *setting, torch.tensor([0.5]))) == eager(logits, *setting, torch.tensor([0.5]), None)


@pytest.mark.parametrize(("top_k", "expected"), [(1, [0, 0]), (2, [0, 1]), (3, [0, 2])])
def test_of_equals_at_the_bound_those_with_the_lowest_ids_stay(top_k: int, expected: list[int]) -> None:
    logits = torch.zeros(1, 200)
    found = [int(draw_guided(logits, 1.0, 0, 1.0, top_k, torch.tensor([u]))) for u in (0.001, 0.999)]
    assert found == expected


def test_equals_at_the_threshold_of_guidance_stay_in() -> None:
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])  # guided: 4, 2, 2, 0
    found = {int(draw_guided(logits, 2.0, 2, 1.0, 0, torch.tensor([u]))) for u in (0.1, 0.7, 0.9, 0.9999)}
    assert found == {0, 1, 2}


def test_what_is_no_logit_is_refused() -> None:
    with pytest.raises(AssertionError, match="rounded"):
        draw_guided(torch.zeros(1, 4).bfloat16(), 1.0, 0, 1.0, 0, torch.tensor([0.5]))
    with pytest.raises(AssertionError, match="side by side"):
        draw_guided(torch.zeros(4, 1).T.expand(2, 4)[:, ::2], 1.0, 0, 1.0, 0, torch.tensor([0.5]))
