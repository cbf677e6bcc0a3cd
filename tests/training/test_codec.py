"""The codec's training parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dia2.audio.codec import Codec
from training.codec import (
    CodecSize,
    CodecTraining,
    Sounds,
    SpectralLoss,
    build,
    fit_codebooks,
    k_means,
    phoneme_names,
    quantise,
)
from training.corpus import Recording, record
from training.dialogue import Dialogue, Turn

from ..support.speech import has_flite

SIZE = CodecSize(filters=4, hidden=32, layers=1, codebooks=4, codes=16, latent=8, batch=2, crop=6)


@pytest.fixture(scope="module")
def recording() -> Recording:
    if not has_flite():
        pytest.skip("flite is not installed")
    return record(Dialogue((Turn(1, ("Good morning. How are you?",)),), (0.0,)), {1: (8,)})


def test_what_is_quantised_in_training_is_what_mimi_decodes(recording: Recording) -> None:
    torch.manual_seed(0)
    sounds = Sounds([recording], phoneme_names([recording]))
    training = CodecTraining(build(SIZE), len(phoneme_names([recording]))).eval()
    left = fit_codebooks(training, sounds, frames=200)
    assert set(left) == {"semantic", "acoustic"}
    assert left["acoustic"] < 0.5
    samples = torch.from_numpy(recording.samples)[None, : 1920 * 8]
    with torch.no_grad():
        semantic, acoustic = training.latents(samples)
        ours = training.decoded(quantise(training.semantic, semantic), quantise(training.acoustic, acoustic))
        codes = training.model.encode(samples[None]).audio_codes
        theirs = training.model.decode(codes).audio_values[0]
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_exported_codec_loads_as_a_published_one(tmp_path: Path) -> None:
    model = build(SIZE)
    model.half().save_pretrained(tmp_path)
    codec = Codec.load(tmp_path, num_codebooks=4, device=torch.device("cpu"))
    assert (codec.sample_rate, codec.frame_rate, codec.samples_per_frame) == (24_000, 12.5, 1920)
    codes = codec.encode(torch.zeros(1920 * 3))
    assert codes.shape == (4, 3)
    assert codec.decode(codes).shape == (1920 * 3,)


def test_k_means_finds_clusters() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = torch.cat([centre + 0.1 * torch.randn(50, 2, generator=generator) for centre in centres])
    found = k_means(points, 6, generator)
    assert torch.cdist(centres, found).min(1).values.max() < 0.3


def test_the_loss_is_zero_only_for_the_same_sound() -> None:
    loss, x = SpectralLoss(), torch.randn(1, 9600) * 0.1
    assert float(loss(x, x)) == 0
    assert float(loss(x * 0.5, x)) > float(loss(x * 0.9, x)) > 0


def test_sounds_know_the_phoneme_of_each_frame(recording: Recording) -> None:
    names = phoneme_names([recording])
    sounds = Sounds([recording], names)
    assert names[0] == "_"
    assert len(sounds.labels) == len(recording.samples) // 1920
    assert len(set(sounds.labels.tolist())) > 5
    samples, labels = sounds.crops(3, 6, torch.Generator().manual_seed(0))
    assert samples.shape == (3, 6 * 1920)
    assert labels.shape == (3, 6)
