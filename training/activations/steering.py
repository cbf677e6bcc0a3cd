"""How far a direction turns the voice, and what that costs of the words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dia2 import Clamp, Dia2, Steer, Vector
from dia2.adapter.trace import Dia2Trace
from dia2.analysis import Direction, difference_of_means
from dia2.analysis.readout import stream_points
from dia2.runtime.edits import Edit
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


class Way(NamedTuple):
    """How a direction is put to use."""

    name: str
    sign: str  # in the names of cases
    edit: Callable[[Direction, float], Edit]


WAYS = (
    Way("added", "+", lambda of, strength: Steer(of.point, of.vector, strength)),
    Way("set", "=", lambda of, strength: Clamp(of.point, of.vector, of.between(strength))),
)


def steering(tts: Dia2, runs: Sequence[Dia2Trace], bench: Bench, plan: SteeringPlan) -> dict[str, Any]:
    """Choose a way, a point and a strength on some scripts, and measure the curve of each way on others.

    Args:
        tts: the checkpoint.
        runs: what the directions are of: both speakers, scripts of the training split.
        bench: speaks and judges.
        plan: how much.

    Returns:
        Figures, as JSON has them.
    """
    points = stream_points(tts.runtime.config.model.decoder.n_layer)
    found = {point: difference_of_means(runs, tts, point, label="speaker", where=2, minus=1) for point in points}
    scripts = alone("validation", plan.choosing)
    plain = bench.judge("choosing", [NOTHING], scripts, 1)[NOTHING.name]
    choosing: list[dict[str, Any]] = []
    chosen: list[tuple[Way, Direction, float, dict[str, Any]]] = []
    for way in WAYS:
        tried = [(way, found[point], strength) for point in points for strength in _TRIED]
        judged = bench.judge("choosing", [_case(*one) for one in tried], scripts, 1)
        rows = [_row(name, told, plain) for name, told in judged.items()]
        best = _best(rows)
        chosen.append((*tried[rows.index(best)], best))
        choosing += rows

    scripts = alone("test", plan.scripts)
    plain = bench.judge("test", [NOTHING], scripts, plan.seeds)[NOTHING.name]
    curve = [_row(NOTHING.name, plain, plain)]
    told: dict[str, np.ndarray] = {}
    for way, direction, strength, _ in chosen:
        strengths = sorted({*plan.strengths, strength})
        cases = [_case(way, direction, each) for each in strengths]
        controls = strengths if way is WAYS[0] else [strength]
        cases += [_case(way, _random(direction), each, "random") for each in controls]
        judged = bench.judge("test", cases, scripts, plan.seeds)
        curve += [_row(name, of, plain) for name, of in judged.items()]
        told |= judged
    # What the voice itself costs an ear: the same sentences by who has it, and nothing added.
    other = bench.judge("test, [S2]", [NOTHING], alone("test", plan.scripts, speaker=2), plan.seeds)[NOTHING.name]
    bests = [row for *_, row in chosen]
    way, direction, strength, _ = chosen[bests.index(_best(bests))]
    name = _case(way, direction, strength).name
    return {
        "point": direction.point,
        "way": way.name,
        "length": direction.length,
        "ends": list(direction.ends),
        "calls of each mean": list(direction.calls),
        "scripts": plan.scripts,
        "seeds": plan.seeds,
        "words of the scripts": int(plain[:, 0, 1].sum()),
        "choosing": choosing,
        "curve": [*curve, _row("nothing, the same sentences by [S2]", other, plain)],
        "best": next(row for row in curve if row["case"] == name),
        "more words than [S2]": more_words(told[name], other)._asdict(),
    }


def _random(direction: Direction) -> Direction:
    """A control: as far along a direction that means nothing."""
    noise = np.random.default_rng(7).standard_normal(direction.vector.shape)
    vector = Vector(noise * direction.length / np.linalg.norm(noise))
    return replace(direction, vector=vector, ends=(0.0, direction.length))


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of those that turn the voice, where most words are heard; where none does, what turns it most."""
    enough = [row for row in rows if row["second"]["mean"] >= _ENOUGH]
    if enough:
        return max(enough, key=lambda row: row["words"]["mean"])
    return max(rows, key=lambda row: row["second"]["mean"])


def _case(way: Way, direction: Direction, strength: float, of: str = "voice") -> Case:
    return Case(f"{direction.point} {way.sign} {strength:g} {of}", [way.edit(direction, strength)])


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
