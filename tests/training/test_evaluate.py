"""The figures of the model card: how they are counted."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate import Run, Word, dialogues, gain, sounding, summarise


def run(number: int, right: list[bool], **changes: object) -> Run:
    words = [Word(number, "yes", 1, "yes" if ok else "no", 1, ok) for ok in right]
    facts: dict[str, object] = {
        "stopped": True, "seconds": 2.0, "wanted_seconds": 2.0, "accepted": [True], "border": [1.0],
        "inside": [0.0], "transcript": "yes",
    }  # fmt: skip
    return Run(words=words, **(facts | changes))  # type: ignore[arg-type]  # a dictionary of each field's own kind


def test_a_gain_is_no_gain_where_scripts_disagree() -> None:
    before = [run(i, [True, False]) for i in range(40)]
    better = [run(i, [True, True]) for i in range(40)]
    assert gain(before, better) == {"more words heard": 0.5, "from": 0.5, "to": 0.5}
    mixed = [run(i, [True, True] if i % 2 else [False, False]) for i in range(40)]
    found = gain(before, mixed)
    assert found["more words heard"] == 0.0
    assert found["from"] < 0.0 < found["to"]


def test_figures_of_runs() -> None:
    scripts = dialogues(2, turns=(1, 1))
    runs = [
        run(0, [True, True, False], accepted=[True, False], seconds=1.0),
        run(1, [True], stopped=False, seconds=2.2, border=[3.0]),
    ]
    found = summarise(runs, scripts, lambda word: word)
    assert (found["scripts"], found["words"]) == (2, 4)
    assert found["words heard"] == 0.75
    assert found["stopped by themselves"] == 0.5
    assert found["actions accepted"] == pytest.approx(2 / 3)
    assert found["action entropy at borders, bits"] == 2.0
    length = found["length, ratio to espeak-ng"]
    assert (length["least"], length["most"], length["within 25 %"]) == (0.5, 1.1, 0.5)


def test_the_scripts_are_the_same_every_time_and_of_the_test_split() -> None:
    assert dialogues(3) == dialogues(5)[:3]


def test_silence_at_the_end_is_not_length() -> None:
    sound = np.zeros(48_000, np.float32)
    sound[11_999] = 0.5
    assert sounding(sound) == 0.5
    assert sounding(np.zeros(100, np.float32)) == 0.0
