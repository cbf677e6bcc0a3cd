"""A run's own words, given back with its sound, stand where the sound is: by the model's own likelihood."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from dia2 import Dia2
from dia2.cli import main
from dia2.inspect import Dia2Trace
from dia2.runtime.words import Word, read_words

SHIFTS = (-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24)  # seconds
FAST = "[S1] Good morning. How are you today? The dog was under the table."
TEXTS = (
    "Good morning. How are you today? I had some bread and a cup of tea. The dog was under the table.",
    "My brother has a new job. We went to the park with the children. Is your sister at home?",
    "The train is late again. We have to wait ten minutes. Did you sleep well?",
)


def surprise(tts: Dia2, recording: Path, words: list[Word], trace: Path) -> float:
    """Mean of −log p, in nats, over the codes of codebook 0 of a recording whose words are said to be at these times.

    The warm-up plays the recording through the transformer under its words; a replay of its calls gives the logits.
    """
    rows = [{"text": word.text, "start": word.start, "end": word.end} for word in words]
    tts.generate("[S1] Yes.", seed=1, cfg_scale=1.0, prefix_speaker_1=recording, prefix_words_1=rows, trace=trace)
    recorded = Dia2Trace.load(trace)
    calls = recorded.warmup_calls
    logits = recorded.replay(tts, range(calls)).cb0[:, 0]  # [calls, codes] of the conditional branch
    codes = torch.from_numpy(recorded.grid[0, 1 : calls + 1]).long()  # a call draws the next column
    drawn = codes < logits.shape[1] - 2  # no pad, no BOS
    return float(torch.nn.functional.cross_entropy(logits[drawn], codes[drawn]))


def moved(words: list[Word], seconds: float) -> list[Word]:
    """The words at other times; those that would begin before the recording begin with it."""
    return [Word(w.text, max(0.0, w.start + seconds), max(0.0, w.start + seconds)) for w in words]


def by_shift(tts: Dia2, folder: Path, script: str, seed: int, shifts: Sequence[float] = SHIFTS) -> dict[float, float]:
    """How surprising a run's sound is under its own words, as the command line wrote them, by what they are moved."""
    recording, words = folder / "run.wav", folder / "run.json"
    given = ["generate", str(recording), "--input", script, "--seed", str(seed), "--cfg", "2", "--quiet"]
    assert main([*given, "--words", str(words)]) == 0
    said = read_words(words, 60.0)
    return {shift: surprise(tts, recording, moved(said, shift), folder / f"{shift}.dia2trace") for shift in shifts}


@pytest.mark.parametrize(
    "shifts", [(-0.08, 0.0, 0.16), pytest.param((-0.16, -0.08, 0.0, 0.08, 0.16), marks=pytest.mark.slow)]
)
def test_a_runs_own_words_fed_back_are_likeliest_where_they_are(tmp_path: Path, shifts: Sequence[float]) -> None:
    found = by_shift(Dia2.nano(), tmp_path, FAST, 10, shifts)
    assert min(found, key=lambda shift: found[shift]) == 0.0, found
    assert found[0.16] > found[0.0] + 1, "the timestamps' two frames cost more than a nat a frame"


@pytest.mark.slow
@pytest.mark.parametrize("speaker", [1, 2])
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_so_are_those_of_other_recordings_and_speakers(speaker: int, number: int, tmp_path: Path) -> None:
    found = by_shift(Dia2.nano(), tmp_path, f"[S{speaker}] {TEXTS[number]}", seed=10 + number)
    assert min(found, key=lambda shift: found[shift]) == 0.0, found


@pytest.mark.slow
def test_so_are_those_of_a_dialogue(tmp_path: Path) -> None:
    found = by_shift(Dia2.nano(), tmp_path, f"[S1] {TEXTS[1]} [S2] {TEXTS[2]}", seed=3)
    assert min(found, key=lambda shift: found[shift]) == 0.0, found
