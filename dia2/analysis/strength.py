"""What an edit does over its strength: more is not more, so a curve comes before any one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dia2.common.brief import brief_repr
from dia2.common.checks import is_number, short
from dia2.common.errors import UsageError

Measure = Callable[[float], Mapping[str, Sequence[float]]]  # at a strength: each measure's value for every script

_DRAWS = 1000  # of an interval


@dataclass(frozen=True)
class StrengthCurve:
    """Measures at S strengths, each the mean over the same scripts."""

    __repr__ = brief_repr

    strengths: np.ndarray  # [S] float64, ascending
    mean: Mapping[str, np.ndarray]  # by measure [S]
    low: Mapping[str, np.ndarray]  # [S] a 95 % interval of it, scripts drawn with replacement
    high: Mapping[str, np.ndarray]
    scripts: int
    control: Mapping[str, np.ndarray] = field(default_factory=dict)  # [S] the mean under the control
    units: str = ""  # what a strength of 1 is


def strength_curve(
    measure: Measure,
    strengths: Sequence[float],
    *,
    control: Measure | None = None,
    units: str = "",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> StrengthCurve:
    """Measure an edit at several strengths.

        def measure(strength):
            runs = [tts.generate(script, edits=[Steer(voice.point, voice.vector, strength)]) for script in scripts]
            return {"words heard": [heard(run) for run in runs], "voice 2": [voice_of(run) for run in runs]}

    Args:
        measure: gives, at a strength, each measure's value for every script, in one order.
        strengths: at which to ask; 0 among them is what nothing does.
        control: the same with what should do nothing, such as a random vector of the same length.
        units: of the strength, as `Direction` has them.
        seed: of the interval's draws.
        progress: called with (strengths done, strengths to do).

    Raises:
        UsageError: a strength is no finite number, or a measure has not one value for each script.
    """
    if not len(strengths) or not all(map(is_number, strengths)):
        raise UsageError(f"Strengths are finite numbers, not {short(list(strengths))}.")
    at = sorted(set(map(float, strengths)))
    values: list[dict[str, np.ndarray]] = []
    controls: list[dict[str, np.ndarray]] = []
    for number, strength in enumerate(at):
        values.append(_checked(measure(strength), values))
        if control is not None:
            controls.append(_checked(control(strength), values))
        if progress is not None:
            progress(number + 1, len(at))
    names, count = list(values[0]), len(next(iter(values[0].values())))
    drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
    ends = {
        name: np.array([np.percentile(row[name][drawn].mean(axis=1), (2.5, 97.5)) for row in values]) for name in names
    }
    return StrengthCurve(
        strengths=np.array(at),
        mean={name: np.array([row[name].mean() for row in values]) for name in names},
        low={name: found[:, 0] for name, found in ends.items()},
        high={name: found[:, 1] for name, found in ends.items()},
        scripts=count,
        control={name: np.array([row[name].mean() for row in controls]) for name in names if controls},
        units=units,
    )


def _checked(found: Mapping[str, Sequence[float]], before: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What a measure gave, once it is as it was before.

    Raises:
        UsageError: it is not.
    """
    values = {name: np.asarray(each, np.float64) for name, each in found.items()}
    shapes = {name: each.shape for name, each in (before[0] if before else values).items()}
    if not values or any(len(shape) != 1 or not shape[0] for shape in shapes.values()) or len({*shapes.values()}) > 1:
        raise UsageError("A measure gives numbers by name, one for each script: {'words heard': [0.9, 1.0]}.")
    if {name: each.shape for name, each in values.items()} != shapes or not all(
        np.isfinite(each).all() for each in values.values()
    ):
        raise UsageError("A measure gives the same names, and finite numbers of as many scripts, at every strength.")
    return values
