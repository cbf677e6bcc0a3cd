"""Linear probes: what can be read from an activation, beside what can be read without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dia2.adapter.trace import Dia2Trace
from dia2.analysis.directions import Labelled
from dia2.analysis.gather import Samples, check_traces, samples
from dia2.analysis.labels import labels_of
from dia2.analysis.untrained import untrained as untrained_engine
from dia2.common.brief import brief_repr
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.hooks import PointFilter
from dia2.engine import Dia2

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of the fit to the data, against keeping weights small
_MOST = 20_000  # calls that one probe is fitted to
_STEPS = 300  # of the logistic fit, which is regularised and need not come to its very end
_DRAWS = 1000  # of the interval


@dataclass(frozen=True)
class ProbeScores:
    """How well a label is read from each of P points, on runs that no probe has seen.

    Scores are shares of calls that are right; of a number, such as loudness, R²: 1 is all of its variance, and what
    guesses the mean has 0.
    """

    __repr__ = brief_repr

    target: str
    measure: str  # accuracy or R²
    points: list[str]  # [P]
    score: np.ndarray  # [P] on the test runs
    low: np.ndarray  # [P] a 95 % interval of it, test runs drawn with replacement
    high: np.ndarray  # [P]
    validated: np.ndarray  # [P] the mean score in cross-validation over the training runs
    shuffled: np.ndarray  # [P] on the test runs, of a probe that was fitted to shuffled labels
    majority: float  # what guessing the commonest label scores, or the mean of a number
    untrained: np.ndarray  # [P] likewise, of a network of this shape that has learnt nothing; empty if not asked for
    strength: np.ndarray  # [P] that cross-validation chose, of `_STRENGTHS`
    classes: list[Any]  # none of a number
    calls: tuple[int, int]  # n of training and of test
    runs: tuple[int, int]


def probe(
    target: str,
    train: Sequence[Dia2Trace],
    test: Sequence[Dia2Trace],
    tts: Dia2,
    points: PointFilter = ("act.embed", "act.*.resid"),
    *,
    labels: Labelled = labels_of,
    where: Callable[[Any], np.ndarray] | None = None,
    untrained: bool = False,
    folds: int = 3,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeScores:
    """Fit one linear probe for each point, and score it on runs that it has not seen.

    A label of classes is read by logistic regression, one of numbers by ridge regression, from activations of the
    conditional branch that are standardised by the training runs. How strongly is chosen by cross-validation over the
    training runs: the calls of one run are never on both sides.

    Args:
        target: name of a label, see `Labels`.
        train: runs to fit to.
        test: other runs, of other scripts.
        tts: the checkpoint of all of them.
        points: to read from.
        labels: labels of a trace; with phonemes, a function that gives `labels_of(trace, given=…)`.
        where: gives a mask [n] of `Labels`: calls that count at all; `None`: all that have the label.
        untrained: also probe a network of the same shape and random weights that reads the same tokens, which takes as
            long again: what is read there, the input gave.
        folds: of the cross-validation; at most as many as there are training runs.
        seed: of the shuffled labels, of the untrained weights, of the calls that are left out where there are very
            many, of the interval.
        progress: called with (runs read, runs to read).

    Raises:
        UsageError: another checkpoint, no such point or label, fewer than two training runs, no call with the label on
            one of the sides, or only one class.
        TraceError: a trace was redacted.
        Dia2Error: scikit-learn is missing.
    """
    _learners()
    sides = [check_traces(train, "probe's train"), check_traces(test, "probe's test")]
    if len(sides[0]) < 2:
        raise UsageError("A probe is validated across runs: give it two training runs or more.")
    engines = [tts, untrained_engine(tts, seed)] if untrained else [tts]
    chosen, values = zip(*(_labelled(side, target, labels, where) for side in sides), strict=True)
    read: list[list[Samples]] = []  # by engine, of both sides
    done, whole = 0, len(engines) * sum(map(len, sides))
    for engine in engines:
        read.append([])
        for side, calls in zip(sides, chosen, strict=True):
            tell = None if progress is None else _shifted(progress, done, whole)
            read[-1].append(samples(side, engine, points, calls, tell))
            done += len(side)
    rng = np.random.default_rng(seed)
    keep = np.sort(rng.permutation(len(values[0]))[:_MOST])
    numbers = values[0].dtype.kind == "f"
    if not numbers and len(np.unique(values[0][keep])) < 2:
        raise UsageError(f"All calls of the training runs have the same {target}: there is nothing to tell apart.")
    order = rng.permutation(len(keep))
    names, most = list(read[0][0].values), min(folds, len(sides[0]))
    found = [[_one(name, each, values, keep, order, numbers, most, seed) for name in names] for each in read]
    score, low, high, validated, shuffled, strength = (np.array(column) for column in zip(*found[0], strict=True))
    return ProbeScores(
        target=target,
        measure="R²" if numbers else "accuracy",
        points=names,
        score=score,
        low=low,
        high=high,
        validated=validated,
        shuffled=shuffled,
        majority=_majority(values[0][keep], values[1], numbers),
        untrained=np.array([row[0] for row in found[1]] if untrained else []),
        strength=strength,
        classes=[] if numbers else np.unique(values[0][keep]).tolist(),
        calls=(len(keep), len(values[1])),
        runs=(len(np.unique(read[0][0].run)), len(np.unique(read[0][1].run))),
    )


def _learners() -> Any:
    """The module sklearn.linear_model.

    Raises:
        Dia2Error: it is missing.
    """
    try:
        from sklearn import linear_model
    except ImportError as error:
        raise Dia2Error(
            f"Probes need scikit-learn ({one_line(error)}): pip install 'dia2-inspect[analysis]'."
        ) from error
    return linear_model


def _labelled(
    traces: Sequence[Dia2Trace], target: str, labels: Labelled, where: Callable[[Any], np.ndarray] | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """The calls of each trace that have the label, and their labels, joined."""
    chosen, values = [], []
    for trace in traces:
        found = labels(trace)
        mask = found.known(target) & (True if where is None else np.asarray(where(found), bool))
        mask[: trace.warmup_calls] = False
        chosen.append(np.flatnonzero(mask))
        values.append(found[target][mask])
    return chosen, np.concatenate(values)


def _shifted(progress: Callable[[int, int], None], before: int, whole: int) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, whole)


def _one(
    point: str,
    read: Sequence[Samples],
    values: Sequence[np.ndarray],
    keep: np.ndarray,
    order: np.ndarray,
    numbers: bool,
    folds: int,
    seed: int,
) -> tuple[float, float, float, float, float, float]:
    """Score, its interval, the validated score, the shuffled one and the strength of one point."""
    given, labels, runs = read[0].values[point][keep], values[0][keep], read[0].run[keep]
    mean, deviation = given.mean(axis=0), given.std(axis=0) + 1e-6
    train, test = (given - mean) / deviation, (read[1].values[point] - mean) / deviation
    parts = np.array_split(np.unique(runs), min(folds, len(np.unique(runs))))
    validated: list[float] = []
    for strength in _STRENGTHS:
        found = []
        for part in parts if len(parts) > 1 else []:
            held = np.isin(runs, part)
            if numbers or len(np.unique(labels[~held])) > 1:
                guess = _fitted(train[~held], labels[~held], strength, numbers).predict(train[held])
                found.append(_score(guess, labels[held], numbers))
        validated.append(float(np.mean(found)) if found else float("nan"))
    best = int(np.nanargmax(validated)) if any(map(np.isfinite, validated)) else len(_STRENGTHS) - 1
    guess = _fitted(train, labels, _STRENGTHS[best], numbers).predict(test)
    other = _fitted(train, labels[order], _STRENGTHS[best], numbers).predict(test)
    low, high = _interval(guess, values[1], read[1].run, numbers, seed)
    return (
        _score(guess, values[1], numbers),
        low,
        high,
        float(validated[best]),
        _score(other, values[1], numbers),
        _STRENGTHS[best],
    )


def _fitted(values: np.ndarray, labels: np.ndarray, strength: float, numbers: bool) -> Any:
    """A probe of standardised activations [n, width]."""
    from sklearn.exceptions import ConvergenceWarning

    if numbers:
        return _learners().Ridge(alpha=1 / strength).fit(values, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # that it has not come to its very end, which is meant
        return _learners().LogisticRegression(C=strength, max_iter=_STEPS, tol=1e-3).fit(values, labels)


def _score(guess: np.ndarray, labels: np.ndarray, numbers: bool) -> float:
    if not numbers:
        return float((guess == labels).mean())
    return 1 - float(((guess - labels) ** 2).mean() / max(labels.var(), 1e-12))


def _majority(train: np.ndarray, test: np.ndarray, numbers: bool) -> float:
    if numbers:
        return _score(np.full(len(test), train.mean()), test, numbers)
    kinds, counts = np.unique(train, return_counts=True)
    return _score(np.full(len(test), kinds[counts.argmax()]), test, numbers)


def _interval(guess: np.ndarray, labels: np.ndarray, runs: np.ndarray, numbers: bool, seed: int) -> tuple[float, float]:
    """A 95 % interval of the score, runs drawn with replacement: calls of one run are alike."""
    rows = [np.flatnonzero(runs == run) for run in np.unique(runs)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([rows[number] for number in rng.integers(0, len(rows), len(rows))])
        found.append(_score(guess[drawn], labels[drawn], numbers))
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
