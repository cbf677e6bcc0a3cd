"""A direction is the difference of two means, and says of what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from dia2.adapter.activations import checkpoint_of
from dia2.analysis import difference_of_means, labels_of
from dia2.common.errors import UsageError
from dia2.runtime.activations import Steer
from dia2.runtime.vector_file import read_vector

from ..support.reference import engine
from .runs import CHECKPOINT, runs


@pytest.mark.parametrize("point", ["act.1.resid", "act.0.heads"])
def test_it_is_the_difference_of_means(point: str) -> None:
    tts = engine(CHECKPOINT)
    groups: dict[int, list[np.ndarray]] = {1: [], 2: []}
    for trace in runs():
        values = trace.replay(tts, points=point).acts[point][:, 0].flatten(1).numpy()
        for speaker, rows in groups.items():
            rows.append(values[labels_of(trace).speaker == speaker])
    one, two = (np.concatenate(groups[speaker]).astype(np.float64) for speaker in (1, 2))
    found = difference_of_means(runs(), tts, point, where=2, minus=1)
    np.testing.assert_allclose(found.vector.tensor, two.mean(axis=0) - one.mean(axis=0), rtol=1e-4, atol=1e-5)
    assert found.calls == (len(two), len(one))
    assert found.length == pytest.approx(float(found.vector.tensor.norm()), rel=1e-5)
    assert found.units == "1 is the difference of means of speaker 2 and speaker 1"
    assert found.checkpoint == checkpoint_of(tts.runtime)
    assert Steer(found.point, found.vector, 0.5).vector == found.vector
    unit = (two.mean(axis=0) - one.mean(axis=0)) / found.length
    parts = [float(mean @ unit) for mean in (one.mean(axis=0), two.mean(axis=0))]
    assert found.ends == pytest.approx(parts, rel=1e-4, abs=1e-5)
    assert found.between(0.5) == pytest.approx(sum(parts) / 2, rel=1e-4, abs=1e-5)


def test_it_is_saved_for_plans(tmp_path: Path) -> None:
    """As a vector of one checkpoint's weights."""
    found = difference_of_means(runs(), engine(CHECKPOINT), "act.1.resid", where=2, minus=1)
    path = tmp_path / "voice.safetensors"
    found.save(path)
    assert read_vector(path, weights=found.checkpoint) == found.vector
    with pytest.raises(UsageError, match="another checkpoint"):
        read_vector(path, weights="other")
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"weights": found.checkpoint, "point": "act.1.resid", "units": found.units}
    found.save(path)
    with pytest.raises(UsageError, match="does not exist"):
        found.save(tmp_path / "there" / "voice.safetensors")


def test_groups_can_be_masks() -> None:
    tts = engine(CHECKPOINT)
    by_value = difference_of_means(runs(), tts, "act.0.resid", where=2, minus=1)
    by_mask = difference_of_means(
        runs(), tts, "act.0.resid", where=lambda found: found.speaker == 2, minus=lambda found: found.speaker == 1
    )
    assert by_value.vector == by_mask.vector
    assert by_mask.units == "1 is the difference of means of a group of calls and a group of calls"


def test_labels_of_the_caller() -> None:
    tts, vowels = engine(CHECKPOINT), [np.array(["a" if call % 3 else "" for call in range(len(t))]) for t in runs()]
    given = {trace.path: found for trace, found in zip(runs(), vowels, strict=True)}
    found = difference_of_means(
        runs(),
        tts,
        "act.embed",
        label="phoneme",
        where="a",
        minus=lambda labels: ~labels.known("phoneme"),
        labels=lambda trace: labels_of(trace, given={"phoneme": given[trace.path]}),
    )
    assert found.calls == (sum(int((v == "a").sum()) for v in vowels), sum(int((v == "").sum()) for v in vowels))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"where": 3}, r"No call of these runs is in the group where="),
        ({"minus": lambda labels: labels.word < -1}, r"in the group minus="),
        ({"point": "act.*.resid"}, "stands for 2"),
        ({"point": "act.0.pattern"}, "no one vector for each call"),
        ({"label": "mood"}, "no labels 'mood'"),
        ({"where": lambda labels: labels.word}, "a mask of the calls"),
        ({"traces": "run"}, "needs traces of Dia2"),
    ],
)
def test_what_is_no_direction_is_refused(given: dict[str, Any], told: str) -> None:
    asked: dict[str, Any] = {"traces": runs()[:2], "point": "act.0.resid", "where": 2, "minus": 1, **given}
    with pytest.raises(UsageError, match=told):
        difference_of_means(asked.pop("traces"), engine(CHECKPOINT), asked.pop("point"), **asked)
