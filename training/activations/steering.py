"""How far a direction turns the voice, and what that costs of the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dia2 import Dia2, Steer, Vector
from dia2.adapter.trace import Dia2Trace
from dia2.analysis import Direction, difference_of_means
from dia2.analysis.readout import stream_points
from training.activations.intervals import in_second, more_words, words_heard
from training.activations.scripts import alone
from training.activations.speaking import Bench, Case

NOTHING = Case("nothing")
_ENOUGH = 0.9  # share of frames in the other voice that is asked for
_TRIED = (0.5, 1.0, 2.0)  # strengths, at every point


@dataclass(frozen=True)
class SteeringPlan:
    """How much is spoken."""

    choosing: int = 12  # scripts of the validation split, on which point and strength are chosen
    scripts: int = 24  # of the test split
    seeds: int = 3
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)


def steering(tts: Dia2, runs: Sequence[Dia2Trace], bench: Bench, plan: SteeringPlan) -> dict[str, Any]:
    """Choose a point and a strength on some scripts, and measure the curve on others.

    Args:
        tts: the checkpoint.
        runs: what the directions are of: both speakers, scripts of the training split.
        bench: speaks and judges.
        plan: how much.

    Returns:
        Figures, as JSON has them.
    """
    points = stream_points(tts.runtime.config.model.decoder.n_layer)
    found = {
        point: difference_of_means(runs, tts, point, label="speaker", where=2, minus=1) for point in points
    }
    tried = [_case(found[point], strength) for point in points for strength in _TRIED]
    judged = bench.judge("choosing", [NOTHING, *tried], alone("validation", plan.choosing), 1)
    choice = [_row(name, told, judged[NOTHING.name]) for name, told in judged.items()]
    enough = [row for row in choice if row["second"]["mean"] >= _ENOUGH]
    # Where nothing turns the voice, what comes nearest is measured, and the table says so.
    if enough:
        best = max(enough, key=lambda row: row["words"]["mean"])
    else:
        best = max(choice[1:], key=lambda row: row["second"]["mean"])
    direction, strength = next((found[p], s) for p in points for s in _TRIED if _case(found[p], s).name == best["case"])

    noise = np.random.default_rng(7).standard_normal(direction.vector.shape)
    random = replace(direction, vector=Vector(noise * direction.length / np.linalg.norm(noise)))
    strengths = sorted({*plan.strengths, strength})
    cases = [NOTHING, *(_case(direction, each) for each in strengths)]
    cases += [_case(random, each, "random") for each in strengths]
    scripts = alone("test", plan.scripts)
    judged = bench.judge("test", cases, scripts, plan.seeds)
    curve = [_row(name, told, judged[NOTHING.name]) for name, told in judged.items()]
    return {
        "point": direction.point,
        "strength": strength,
        "length": direction.length,
        "calls of each mean": list(direction.calls),
        "scripts": plan.scripts,
        "seeds": plan.seeds,
        "words of the scripts": int(judged[NOTHING.name][:, 0, 1].sum()),
        "choosing": choice,
        "curve": curve,
        "best": next(row for row in curve if row["case"] == best["case"]),
    }


def _case(direction: Direction, strength: float, of: str = "voice") -> Case:
    return Case(f"{direction.point} + {strength:g} {of}", [Steer(direction.point, direction.vector, strength)])


def _row(name: str, told: np.ndarray, nothing: np.ndarray) -> dict[str, Any]:
    return {
        "case": name,
        "runs": int(np.prod(told.shape[:2])),
        "words": words_heard(told)._asdict(),
        "more words": more_words(told, nothing)._asdict(),
        "second": in_second(told)._asdict(),
        "voiced frames": int(told[..., 3].sum()),
    }


def goal(row: dict[str, Any]) -> str:
    """Whether a row has what was asked for: nine tenths of the other voice, at most five points fewer words."""
    turned, kept = row["second"]["mean"] >= _ENOUGH, row["more words"]["mean"] >= -0.05
    return "reached" if turned and kept else "not reached"
