"""What the explorer is told of draws and sound call by call: surprise, the pull of guidance, anomalies, loudness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dia2.inspect import sample
from dia2.inspect.schema.view_signals import anomalies, bits, draw_signals, loudness
from dia2.inspect.views.explorer.view import view_of


def drawn(chance: list[float], cond: list[float], guided: list[float]) -> dict[str, np.ndarray]:
    """Draws of one call with the same two candidates each."""
    count = len(chance)
    ids = np.full((1, count, 16), -1)
    ids[:, :, :2] = (3, 7)
    logits = {name: np.full((1, count, 16), np.nan) for name in ("cond", "guided")}
    logits["cond"][:, :, :2], logits["guided"][:, :, :2] = cond, guided
    return {"ids": ids, "probability": np.array([chance])} | logits


def test_surprise_is_minus_log2_of_the_chance_in_steps() -> None:
    found = draw_signals(**drawn([1, 0.5, 0.3, 1e-9, 0], [0, 0], [0, 0]))["surprise"]
    assert found.dtype == np.uint8
    assert bits(found)[0, :4] == pytest.approx([0, 1, 1.737, 15.875], abs=1 / 32)  # the last one is the most it tells
    assert np.isnan(bits(found)[0, 4])  # an edit put there what could not be drawn: no chance is known


def test_pull_is_the_total_variation_between_both_softmaxes() -> None:
    odds = np.log(3.0)
    cases = (([0.0, 0.0], [0.0, 0.0], 0.0), ([odds, 0.0], [0.0, odds], 0.5), ([0.0, 0.0], [9.0, -np.inf], 0.5))
    apart = draw_signals(**drawn([1.0], [9.0, -np.inf], [-np.inf, 9.0]))["pull"]
    assert apart.tolist() == [[255]], "all of it"
    for cond, guided, wanted in cases:
        found = draw_signals(**drawn([1.0], cond, guided))["pull"]
        assert found[0, 0] / 255 == pytest.approx(wanted, abs=0.003)


def test_a_call_that_draws_nothing_has_neither() -> None:
    found = draw_signals(**(drawn([0.0], [0, 0], [0, 0]) | {"ids": np.full((1, 1, 16), -1)}))
    assert (found["surprise"][0, 0], found["pull"][0, 0]) == (0, 0)


def test_surprise_and_pull_are_those_of_the_draws_of_a_trace() -> None:
    trace = sample()
    columns = view_of(trace).columns
    for call in (5, 40):
        pulls = []
        for i, draw in enumerate(trace.draws(call)):
            assert bits(columns["surprise"])[call, i] == pytest.approx(-np.log2(draw.probability), abs=1 / 30)
            logits = np.array([(each.cond, each.guided) for each in draw.candidates])
            chances = np.exp(logits - logits.max(0))
            before, after = (chances / chances.sum(0)).T
            pulls.append(np.abs(before - after).sum() / 2)
        assert columns["pull"][call] / 255 == pytest.approx([pulls[1], np.mean(pulls[1:])], abs=0.004)


def surprising(means: list[float], action: list[float] | None = None) -> list[dict[str, Any]]:
    """Anomalies of a run of an action and one codebook, whose surprise is given in bits; below 0: not known."""
    told = np.array([action or [0.0] * len(means), means]).T
    return anomalies(np.where(told < 0, 0, 1 + told * 16).astype(np.uint8), [None, 0])


def test_peaks_above_the_usual_are_anomalies() -> None:
    usual = [2.0, 2.25, 2.5, 2.75, 3.0, 2.75, 2.5, 2.25, 2.0, 2.5, 2.25, 2.75]
    assert surprising(usual) == []
    assert surprising([*usual, 6, 2, 2]) == [{"call": 12, "what": "codes", "bits": 6.0}]
    assert surprising([-1, -1, *usual, 6, 2, 2]) == [{"call": 14, "what": "codes", "bits": 6.0}]
    near = surprising([*usual, *usual, 6, 2, 7, 2, 2, 2, 2, 5, 2])
    assert near == [{"call": 26, "what": "codes", "bits": 7.0}, {"call": 31, "what": "codes", "bits": 5.0}]
    plateau = surprising([*usual, 6, 6, 2, 2])
    assert plateau == [{"call": 13, "what": "codes", "bits": 6.0}], "the last of two that are as high"
    rise = surprising([*usual, 7, 6, 5, 4.5, 4.25, 4, 2])
    assert rise == [{"call": 12, "what": "codes", "bits": 7.0}], "the way down from a peak is none"
    assert surprising([2.0] * 9 + [6, 2]) == []  # without a spread nothing tells what is far


def test_an_unlikely_action_is_one() -> None:
    found = surprising([2.0] * 5, [0, 0, 1.5, 0, 1.25])
    assert found == [{"call": 2, "what": "action", "bits": 1.5}]


def test_a_run_without_draws_has_none() -> None:
    assert surprising([-1, -1], [-1, -1]) == []


def test_loudness_is_the_rms_of_every_frame_below_full_scale() -> None:
    samples = np.concatenate([np.ones(100), np.full(100, -0.1), np.zeros(100), np.full(50, 0.5)])
    assert loudness(samples, 1000, 10).tolist() == [0, 20, 255, 9]  # the last frame is half silent: −6 − 3 dB
