"""Guidance filters what may be drawn and changes nothing else; codebook 0 never yields audio pad or BOS."""

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from dia2.runtime.guidance import filter_guided, forbid_specials
from dia2.runtime.sampler import draw, probabilities

from ..support.reference import ROOT

CASES: list[dict[str, Any]] = json.loads((ROOT / "sampler.json").read_text())
NUMBERS = load_file(ROOT / "sampler.safetensors")

logit_rows = st.integers(3, 12).flatmap(
    lambda v: st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=v, max_size=v), min_size=2, max_size=2)
)
scales = st.sampled_from([0.0, 0.5, 2.0, 3.0, 7.5])


def kept(filtered: Tensor) -> list[int]:
    return [i for i, value in enumerate(filtered.tolist()) if value != -torch.inf]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["i"]))
def test_filter_and_distribution_are_the_published_runtimes(case: dict[str, Any]) -> None:
    logits, filtered, distribution = (
        NUMBERS[f"{case['i']}.{name}"] for name in ("logits", "filtered", "probabilities")
    )
    ours = filter_guided(logits, case["cfg_scale"], case["cfg_filter_k"])
    assert torch.equal(ours, filtered)
    assert (probabilities(ours, case["temperature"], case["top_k"]) - distribution).abs().max() <= 1e-6


def test_all_60_published_settings_are_there() -> None:
    assert len(CASES) == 60
    assert min(case["cfg_filter_k"] for case in CASES) <= 0
    assert any(case["cfg_filter_k"] > NUMBERS[f"{case['i']}.logits"].shape[1] for case in CASES)


def test_the_guided_logits_decide_who_stays_and_the_conditional_ones_are_what_stays() -> None:
    cond, uncond = [1.0, 2.0, 3.0, 4.0], [0.0, 4.0, 0.0, 8.0]  # guided with scale 2: 2, 0, 6, 0
    assert filter_guided(torch.tensor([cond, uncond]), 2.0, 2).tolist() == [1.0, -torch.inf, 3.0, -torch.inf]


def test_ties_at_the_threshold_stay() -> None:
    logits = torch.tensor([[5.0, 4.0, 4.0, 4.0, 1.0]]).expand(2, -1)
    assert kept(filter_guided(logits, 2.0, 2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("filter_k", [0, -1, -50, 4, 5, 1000])
def test_no_filter_and_one_as_large_as_the_vocabulary_keep_all(filter_k: int) -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    assert torch.equal(filter_guided(logits, 3.0, filter_k), logits[0])


def test_scale_1_turns_guidance_off_with_or_without_a_second_branch() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0], [9.0, 0.0, 0.0, 0.0]])
    assert torch.equal(filter_guided(logits, 1.0, 1), logits[0])
    assert torch.equal(filter_guided(logits[:1], 1.0, 1), logits[0])


@given(st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4), scales, st.integers(2, 50))
@settings(deadline=None)
def test_with_two_actions_and_k_of_2_or_more_guidance_changes_nothing(
    values: list[float], scale: float, filter_k: int
) -> None:
    logits = torch.tensor(values).view(2, 2)
    assert torch.equal(filter_guided(logits, scale, filter_k), logits[0])


@given(logit_rows, scales, st.integers(1, 15))
@settings(max_examples=100, deadline=None)
def test_at_least_k_stay_and_whoever_goes_has_k_better_ones(
    rows: list[list[float]], scale: float, filter_k: int
) -> None:
    logits = torch.tensor(rows)
    before = logits.clone()
    filtered = filter_guided(logits, scale, filter_k)
    guided = (logits[1] + scale * (logits[0] - logits[1])).tolist()
    stay = kept(filtered)
    assert len(stay) >= min(filter_k, len(guided))
    for i, value in enumerate(guided):
        if i in stay:
            assert filtered[i] == before[0, i]
            assert sum(other > value for other in guided) < filter_k
        else:
            assert sum(other > value for other in guided) >= filter_k
    assert torch.equal(logits, before)


SPECIALS = torch.tensor([False, False, False, True, True])


def test_the_specials_are_forbidden_after_the_filter() -> None:
    cond = torch.tensor([1.0, 2.0, 3.0, 9.0, 9.0])
    filtered = torch.tensor([-torch.inf, 2.0, -torch.inf, 9.0, 9.0])
    lowest = torch.finfo(torch.float32).min
    assert forbid_specials(filtered, cond, SPECIALS).tolist() == [-torch.inf, 2.0, -torch.inf, lowest, lowest]


def test_the_filter_sees_the_specials_too() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0, 9.0, 8.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    # The two places for pad and BOS are not given to others.
    assert kept(filter_guided(logits, 2.0, 3)) == [2, 3, 4]


@pytest.mark.parametrize("left", [[3, 4], [3], [4]])
def test_if_the_filter_left_only_specials_the_draw_is_from_the_unfiltered_rest(left: list[int]) -> None:
    cond = torch.tensor([1.0, 2.0, 3.0, 9.0, 8.0])
    filtered = torch.full((5,), -torch.inf)
    filtered[left] = cond[left]
    usable = forbid_specials(filtered, cond, SPECIALS)
    assert torch.equal(usable[:3], cond[:3])
    expected = torch.softmax(cond[:3], 0)
    assert torch.allclose(probabilities(usable, 1.0, 0), torch.cat((expected, torch.zeros(2))))


hostile = st.one_of(st.floats(-30, 30, width=32), st.sampled_from([-1e30, -1e9, 0.0, 1e9, 1e30]))


@given(
    rows=st.lists(st.lists(hostile, min_size=5, max_size=5), min_size=2, max_size=2),
    lead=st.sampled_from([0.0, 100.0, 1e20]),
    scale=scales | st.just(1.0),
    filter_k=st.integers(-1, 6),
    temperature=st.sampled_from([0.0, 0.01, 0.8, 1.0, 5.0, 100.0]),
    top_k=st.integers(0, 6),
    uniform=st.sampled_from([2.0**-24, 0.25, 0.5, 0.75, 1 - 2.0**-24]),
)
@settings(max_examples=250, deadline=None)
def test_codebook_0_never_yields_pad_or_bos_whatever_the_logits(
    rows: list[list[float]],
    lead: float,
    scale: float,
    filter_k: int,
    temperature: float,
    top_k: int,
    uniform: float,
) -> None:
    logits = torch.tensor(rows) + lead * SPECIALS
    usable = forbid_specials(filter_guided(logits, scale, filter_k), logits[0], SPECIALS)
    assert int(draw(usable, temperature, top_k, torch.tensor([uniform]))) in (0, 1, 2)
