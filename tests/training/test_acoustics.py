"""Codes made from the vocoder's parameters: what they name is exact, and the rest is kept as well as codebooks can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dia2.common.errors import Dia2Error
from training.acoustics import LABELLED, Acoustics
from training.corpus import Recording
from training.phonetic import HALVES
from training.spoken import Spoken
from training.vocoder import FRAME, SHAPE, STEPS

NAMES = "abcd"
FRAMES = 200


def recording(seed: int = 0, frames: int = FRAMES) -> Recording:
    """Spectra that phonemes, pitch and voice decide, but for a rest in two directions."""
    rng = np.random.default_rng(seed)
    halves = rng.integers(0, len(NAMES), frames * HALVES)
    phonemes = tuple((NAMES[p], i * 0.04) for i, p in enumerate(halves))
    pulses = rng.choice([7, 8, -12, -14], frames).astype(np.int16)
    pulses[: frames // 10] = 0
    world = np.random.default_rng(99)
    of_phoneme, of_pulses = world.normal(size=(len(NAMES), STEPS // 2, SHAPE)), world.normal(size=(40, STEPS, SHAPE))
    rest = world.normal(size=(2, STEPS, SHAPE))
    shapes = np.concatenate([of_phoneme[halves[0::2]], of_phoneme[halves[1::2]]], 1) + of_pulses[pulses + 20]
    shapes = shapes + np.einsum("fk,ksn->fsn", 0.3 * rng.normal(size=(frames, 2)), rest)
    shapes[pulses == 0] = 0
    samples = np.zeros(frames * FRAME, np.float32)
    return Recording("", (Spoken("a", 1, 0.0, 1.0),), 1.0, phonemes, samples, pulses, shapes.astype(np.float16))


@pytest.fixture(scope="module")
def acoustics() -> Acoustics:
    return Acoustics.fit([recording(seed) for seed in range(6)], width=2, books=3, codes=32)


def test_labels_name_phonemes_and_pitch(acoustics: Acoustics) -> None:
    said = recording(7)
    labels = acoustics.labels(said)
    assert acoustics.pitches == (0, -14, -12, 7, 8)
    assert [acoustics.pitches[code] for code in labels[HALVES].tolist()] == said.pulses.tolist()
    names = [acoustics.inventory.names[code] for code in labels[:HALVES].T.flatten().tolist()]
    assert names == [name for name, _ in said.phonemes]
    unknown = replace(said, pulses=np.full(FRAMES, 99, np.int16))
    assert not acoustics.labels(unknown)[HALVES].any()  # a pitch that no recording had is silence


def test_each_codebook_keeps_more_of_what_the_labels_leave_over(acoustics: Acoustics) -> None:
    said = recording(7)
    codes = acoustics.codes(said)
    wanted = acoustics.latents(said, codes[:LABELLED])
    assert codes.shape == (LABELLED + 3, FRAMES)
    kept, lost = torch.zeros_like(wanted), []
    for book, row in zip(acoustics.books, codes[LABELLED:], strict=True):
        kept = kept + book[row]
        lost.append(float((wanted - kept).square().mean() / wanted.square().mean()))
    assert 0.2 > lost[0] > lost[1] > lost[2]
    assert lost[2] < 0.01


def test_the_rest_is_about_one_in_size_and_nothing_in_silence(acoustics: Acoustics) -> None:
    said = recording(8)
    codes = acoustics.codes(said)
    latents = acoustics.latents(said, codes[:LABELLED])
    silent = torch.from_numpy(said.pulses == 0)
    assert not latents[silent].any()
    assert not codes[LABELLED:, silent].any()
    assert float(latents[~silent].square().mean()) == pytest.approx(1, abs=0.2)


def test_codes_are_heard_without_a_codec(acoustics: Acoustics, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the vocoder is given back is the recording's spectra and pulses, nearer with every codebook."""
    said = recording(7)
    codes = acoustics.codes(said)
    given: list[tuple[np.ndarray, list[int]]] = []

    def sound_of(shapes: np.ndarray, numbers: list[int]) -> np.ndarray:
        given.append((shapes, numbers))
        return np.zeros(1, np.float32)

    monkeypatch.setattr("training.acoustics.sound_of", sound_of)
    for count in (LABELLED, LABELLED + 1, LABELLED + 3):
        acoustics.sound(codes[:count])
    errors = [float(np.abs(shapes - said.shapes).mean()) for shapes, _ in given]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1
    assert given[0][1] == [max(1, abs(int(p))) for p in said.pulses]
    assert not given[0][0][said.pulses == 0].any()


def test_they_are_kept_beside_the_codes(acoustics: Acoustics, tmp_path: Path) -> None:
    path = tmp_path / "codes" / "acoustics.safetensors"
    acoustics.write(path)
    found = Acoustics.read(path)
    assert (found.inventory, found.pitches) == (acoustics.inventory, acoustics.pitches)
    said = recording(9)
    assert torch.equal(found.codes(said), acoustics.codes(said))
    path.write_bytes(b"no")
    with pytest.raises(Dia2Error, match=r"does not say what codes mean \(.*\): make the codes first\."):
        Acoustics.read(path)


def test_the_same_recordings_give_the_same_codes(acoustics: Acoustics) -> None:
    again = Acoustics.fit([recording(seed) for seed in range(6)], width=2, books=3, codes=32)
    assert torch.equal(again.books, acoustics.books)
