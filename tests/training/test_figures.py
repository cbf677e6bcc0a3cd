"""What the picture of attention claims: where the spoken word's tokens are, and what distance alone would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dia2 import Dia2
from dia2.inspect import load
from training.figures import best_head, by_distance_alone, spoken_slots


def test_a_head_that_looks_at_one_distance_gains_nothing_by_what_is_there() -> None:
    weights = np.eye(6, 6, -2)[2:]  # calls of slots 2 … 5, each looking two back
    assert by_distance_alone(weights, [[0], [1], [2], [3]], now=2) == pytest.approx(1.0)
    assert by_distance_alone(weights, [[1], [1], [1], []], now=2) == pytest.approx(1 / 3)


def test_a_head_that_stays_at_a_word_has_more_than_its_distances_tell() -> None:
    weights = np.zeros((4, 6))
    weights[:, 1] = 1.0  # from slots 2 … 5: one, two, three and four back
    targets = [[1]] * 4
    assert np.mean([weights[i, slots].sum() for i, slots in enumerate(targets)]) == 1.0
    assert by_distance_alone(weights, targets, now=2) == pytest.approx(0.25)


def test_nano_looks_at_the_word_that_it_speaks(tmp_path: Path) -> None:
    tts = Dia2.nano(device="cpu")
    tts.generate("[S1] Hello there. How are you today? [S2] I am in the garden.", seed=1, trace=tmp_path / "run")
    trace = load(tmp_path / "run")
    slots = spoken_slots(trace)
    seen, words = trace.column("text")[:, 0], [word.tokens for word in trace.words]
    held = [seen[found].tolist() for found in slots if found]
    whole = [tokens for i, tokens in enumerate(held) if i + 1 == len(held) or held[i + 1] != tokens]
    assert whole == words  # one after the other, each whole by the time that its sound ends
    looking = best_head(trace, tts)
    assert looking.even < looking.blind < looking.share / 2
