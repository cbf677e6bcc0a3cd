"""What the picture of attention is held against: what distance alone would give."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from dia2 import Dia2
from dia2.inspect import Dia2Trace
from training.figures import best_head, by_distance_alone, draw_spectrograms


def test_a_head_that_looks_at_one_distance_gains_nothing_by_what_is_there() -> None:
    weights = np.eye(6, 6, -2)  # from slots 2 … 5, two back
    assert by_distance_alone(weights, [[], [], [0], [1], [2], [3]]) == pytest.approx(4 / 6)
    assert by_distance_alone(weights, [[], [], [1], [1], [1], []]) == pytest.approx(4 / 6 / 3)


def test_a_head_that_stays_at_a_word_has_more_than_its_distances_tell() -> None:
    weights = np.zeros((6, 6))
    weights[2:, 1] = 1.0  # from slots 2 … 5: one, two, three and four back
    assert by_distance_alone(weights, [[], [], *[[1]] * 4]) == pytest.approx(1 / 6)


@pytest.mark.slow
def test_nano_looks_at_the_word_that_it_speaks(tmp_path: Path) -> None:
    tts = Dia2.nano(device="cpu")
    tts.generate("[S1] Hello there. How are you today? [S2] I am in the garden.", seed=1, trace=tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    looking = best_head(trace, trace.replay(tts, attention=True))
    assert looking.even < looking.blind < looking.share / 2


@pytest.mark.slow
def test_a_sentence_is_drawn_as_three_say_it(tmp_path: Path) -> None:
    path = tmp_path / "spectrograms.png"
    draw_spectrograms(Dia2.nano(device="cpu"), path)
    pixels = matplotlib.image.imread(path)[..., :3]
    thirds = np.array_split(pixels, 3)
    assert all(len(np.unique(third.reshape(-1, 3), axis=0)) > 1000 for third in thirds)  # something is in each
