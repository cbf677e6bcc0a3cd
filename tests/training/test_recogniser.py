"""The word recogniser: its classes, its cuts, its training, its refusals."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from dia2.common.errors import Dia2Error, UsageError
from training.corpus import Recording
from training.dialogue import GRAMMAR, Dialogue, Turn, draw_dialogue, load_grammar
from training.loop import Schedule
from training.recogniser import (
    TOY,
    Recogniser,
    accuracy,
    cuts_between,
    default_language,
    exact_cuts,
    machine_cuts,
    train_recogniser,
    word_classes,
)
from training.robots import record
from training.streams import Language


@cache
def language() -> Language:
    return default_language()


@cache
def recordings() -> tuple[Recording, ...]:
    rng = random.Random(3)
    grammar = load_grammar(GRAMMAR)
    return tuple(record(draw_dialogue(grammar, rng, "train"), None) for _ in range(3))


@cache
def pair() -> Recording:
    """Two words that sound nothing alike, each by both voices."""
    turns = (Turn(1, ("Yes.", "Tomorrow.")), Turn(2, ("Yes.", "Tomorrow.")))
    return record(Dialogue(turns, (0.4, 0.0)), None)


def test_words_that_sound_alike_are_one_class() -> None:
    found = word_classes(["two", "four", "to", "yes", "too", "for", "too"])
    assert found == [["for", "four"], ["to", "too", "two"], ["yes"]]


def test_cuts_begin_two_frames_before_the_steps_and_last_until_the_next() -> None:
    found = cuts_between([0.16, 0.56], 0.96)
    assert [value for cut in found for value in cut] == pytest.approx([0.0, 0.4, 0.4, 0.8])


def test_the_machine_takes_words_near_their_true_times() -> None:
    for recording in recordings():
        true, taken = exact_cuts(recording), machine_cuts(language(), recording)
        assert len(true) == len(taken) == sum(bool(entry.text) for entry in recording.spoken)
        near = [abs(a - b) < 0.09 for (a, _), (b, _) in zip(true, taken, strict=True)]
        assert sum(near) > 0.6 * len(near)


def test_breaks_count_to_the_word_before_them() -> None:
    recording = pair()
    cuts = machine_cuts(language(), recording)
    assert [entry.text for entry in recording.spoken] == ["Yes.", "Tomorrow.", "", "Yes.", "Tomorrow."]
    assert len(cuts) == 4
    assert cuts[1][1] == cuts[2][0] > recording.spoken[2].start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a recogniser that learnt `pair` by heart."""
    path = tmp_path_factory.mktemp("recogniser")
    size = replace(TOY, schedule=Schedule(steps=120, peak=5e-3, warmup=5))
    figures = train_recogniser(path, size, [pair()], [pair()], language())
    assert figures["words, exact cuts"] == figures["words, machine's cuts"] == figures["voices"] == 1.0
    return path


@pytest.mark.slow
def test_it_hears_what_it_learnt(folder: Path) -> None:
    loaded = Recogniser.load(folder)
    heard = loaded.hear(torch.from_numpy(pair().samples), exact_cuts(pair()))
    assert [h.word_class for h in heard] == ["yes", "tomorrow"] * 2
    assert [h.voice for h in heard] == [1, 1, 2, 2]
    assert all(0.5 < h.confidence <= 1 for h in heard)
    assert set(accuracy(loaded, [pair()], language()).values()) == {1.0}


@pytest.mark.slow
def test_a_word_of_no_class_counts_as_not_recognised(folder: Path) -> None:
    other = record(Dialogue((Turn(1, ("Yes, breakfast.",)),), (0.0,)), None)
    assert accuracy(Recogniser.load(folder), [other], language())["words, exact cuts"] <= 0.5


@pytest.mark.slow
def test_the_seed_decides_everything_and_a_run_that_is_done_stays_as_it_is(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> bytes:
        train_recogniser(tmp_path / name, TOY, [pair()], [pair()], language(), seed)
        return (tmp_path / name / "recogniser.safetensors").read_bytes()

    first = weights("first", 0)
    assert weights("second", 0) == first != weights("third", 1)
    assert weights("first", 0) == first


def test_words_are_known_in_any_case_and_with_punctuation(folder: Path) -> None:
    loaded = Recogniser.load(folder)
    assert loaded.class_of("YES!") == "yes"
    assert loaded.class_of("no") is loaded.class_of("yes yes") is loaded.class_of("?") is None


def test_cuts_may_lie_outside_of_the_sound_and_none_is_nothing(folder: Path) -> None:
    loaded = Recogniser.load(folder)
    assert loaded.hear(torch.zeros(100), []) == []
    first, second = loaded.hear(torch.zeros(0), [(-3.0, -2.0), (1e3, 1e4)])
    assert first == second


@pytest.mark.parametrize(
    ("samples", "cuts", "message"),
    [
        (torch.zeros(1, 100), [(0.0, 1.0)], "one channel"),
        (torch.zeros(100), [(1.0, 0.5)], "no span of time"),
        (torch.zeros(100), [(0.0, float("nan"))], "no span of time"),
    ],
)
def test_what_cannot_be_heard_is_refused(
    folder: Path, samples: torch.Tensor, cuts: list[tuple[float, float]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Recogniser.load(folder).hear(samples, cuts)


@pytest.mark.parametrize("damage", ["nothing", "[]", "{}", '{"bands": 2, "channels": [2, 2, 2], "classes": [["yes"]]}'])
def test_a_folder_without_recogniser_says_how_to_make_one(tmp_path: Path, damage: str) -> None:
    if damage != "nothing":
        (tmp_path / "classes.json").write_text(damage)
    with pytest.raises(Dia2Error, match=r"no recogniser .* `python -m training.recogniser "):
        Recogniser.load(tmp_path)
