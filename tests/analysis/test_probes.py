"""Probes: what is there is read, what is not there is not, and the baselines say which is which."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.analysis import Labels, labels_of, probe
from dia2.analysis import probes as module
from dia2.analysis.untrained import untrained
from dia2.common.errors import Dia2Error, UsageError

from ..support.reference import engine
from .runs import CHECKPOINT, runs

POINTS = ["act.embed", "act.1.resid"]


def planted(point: str, *, number: bool = False) -> Callable[[Dia2Trace], Labels]:
    """A label that is linear in a point: which side of a plane an activation lies on, or how far from it."""

    def labels(trace: Dia2Trace) -> Labels:
        values = trace.replay(engine(CHECKPOINT), points=point).acts[point][:, 0].numpy()
        plane = np.random.default_rng(5).normal(size=values.shape[1])
        heights = values @ plane
        given = heights if number else np.where(heights > 0, "above", "below")
        return labels_of(
            trace, given={"side": given, "noise": np.random.default_rng(len(trace)).integers(0, 2, len(trace))}
        )

    return labels


def test_what_is_there_is_read_and_shuffled_labels_are_not() -> None:
    labels = planted("act.1.resid")
    found = probe("side", runs()[:6], runs()[6:], engine(CHECKPOINT), POINTS, labels=labels)
    assert found.points == POINTS
    assert found.score[1] > 0.9 > found.majority + 0.15
    assert found.validated[1] > 0.85
    assert (found.shuffled < 0.8).all()
    assert (found.low <= found.score).all()
    assert (found.score <= found.high).all()
    assert (found.measure, found.classes) == ("accuracy", ["above", "below"])
    assert found.runs == (6, 3)
    assert found.calls == (sum(map(len, runs()[:6])), sum(map(len, runs()[6:])))
    sides = [np.concatenate([labels(trace)["side"] for trace in part]) for part in (runs()[:6], runs()[6:])]
    commonest = max("above", "below", key=lambda side: int((sides[0] == side).sum()))
    assert found.majority == pytest.approx(float((sides[1] == commonest).mean()))


def test_what_the_input_gives_an_untrained_network_gives_as_well() -> None:
    """The word's token stands in the embedding of any network; what layer 1 of this one makes of it does not."""
    tts, sides, progress = engine(CHECKPOINT), (runs()[:6], runs()[6:]), []
    asked: Any = ("side", *sides, tts, POINTS)
    labels = planted("act.1.resid")
    found = probe(*asked, labels=labels, untrained=True, progress=lambda *now: progress.append(now))
    assert progress[-1] == (2 * len(runs()), 2 * len(runs()))
    assert found.untrained.shape == (2,)
    assert found.untrained[1] < found.score[1] - 0.05
    plain = probe(*asked, labels=labels)
    assert plain.untrained.shape == (0,)
    assert np.array_equal(plain.score, found.score)

    first, again = (untrained(tts, 3).runtime.model.state_dict() for _ in range(2))
    other, own = untrained(tts, 4).runtime.model.state_dict(), tts.runtime.model.state_dict()
    assert {name: value.shape for name, value in first.items()} == {name: value.shape for name, value in own.items()}
    for name, value in first.items():
        assert np.array_equal(value, again[name])
        if value.dim() > 1:
            assert not np.array_equal(value, other[name])
            assert not np.array_equal(value, own[name])


def test_noise_is_not_read() -> None:
    found = probe("noise", runs()[:6], runs()[6:], engine(CHECKPOINT), POINTS, labels=planted("act.1.resid"))
    assert (np.abs(found.score - 0.5) < 0.2).all()


def test_a_number_is_read_by_its_variance() -> None:
    labels = planted("act.1.resid", number=True)
    found = probe("side", runs()[:6], runs()[6:], engine(CHECKPOINT), POINTS, labels=labels)
    assert (found.measure, found.classes) == ("R²", [])
    assert found.score[1] > 0.95 > found.score[0]
    assert found.majority == pytest.approx(0.0, abs=0.05)
    assert (found.shuffled < 0.3).all()
    assert found.low[1] <= found.score[1] <= found.high[1]


def test_one_seed_gives_one_answer() -> None:
    asked: Any = ("speaker", runs()[:6], runs()[6:], engine(CHECKPOINT), POINTS)
    first, again, other = (probe(*asked, seed=seed) for seed in (0, 0, 1))
    for name in ("score", "low", "high", "validated", "shuffled"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert np.array_equal(first.score, other.score)
    assert not np.array_equal(first.shuffled, other.shuffled)


def test_runs_are_never_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fit of the cross-validation leaves whole runs out."""
    fits: list[int] = []
    fitted = module._fitted

    def counted(values: np.ndarray, *rest: Any) -> Any:
        fits.append(len(values))
        return fitted(values, *rest)

    monkeypatch.setattr(module, "_fitted", counted)
    probe("noise", runs()[:3], runs()[6:], engine(CHECKPOINT), "act.embed", labels=planted("act.embed"), folds=3)
    lengths = [len(trace) for trace in runs()[:3]]
    assert fits == [sum(lengths) - length for length in lengths] * len(module._STRENGTHS) + [sum(lengths)] * 2


def test_very_many_calls_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 50)
    found = probe("noise", runs()[:3], runs()[6:], engine(CHECKPOINT), "act.embed", labels=planted("act.embed"))
    assert found.calls[0] == 50


def test_only_calls_that_count_do() -> None:
    def where(labels: Labels) -> np.ndarray:
        return np.asarray(labels.position == 0)

    found = probe("speaker", runs()[:6], runs()[6:], engine(CHECKPOINT), "act.embed", where=where)
    assert found.calls == tuple(sum(len(labels_of(trace).words) for trace in part) for part in (runs()[:6], runs()[6:]))


@pytest.mark.parametrize(("given", "told"), [
    ({"train": 1}, "two training runs"),
    ({"target": "mood"}, "no labels 'mood'"),
    ({"where": lambda labels: labels.word < -1}, "no call to read"),
    ({"where": lambda labels: labels.speaker == 1}, "the same speaker"),
    ({"points": "act.0.pattern"}, "no one vector"),
])  # fmt: skip
def test_what_cannot_be_probed_is_refused(given: dict[str, Any], told: str) -> None:
    asked: dict[str, Any] = {"target": "speaker", "train": 3, "points": "act.embed"} | given
    with pytest.raises(UsageError, match=told):
        probe(asked.pop("target"), runs()[: asked.pop("train")], runs()[6:], engine(CHECKPOINT), **asked)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Dia2Error, match=r"pip install 'dia2-inspect\[analysis\]'"):
        probe("speaker", runs()[:6], runs()[6:], engine(CHECKPOINT))
