"""The codec's training: what it computes is what the runtime decodes, and words hang on the phonetic codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import MimiModel

from dia2.audio.codec import Codec
from dia2.audio.mimi.network import load_mimi
from training.codebooks import Slips
from training.codec import (
    CodecData,
    CodecSize,
    CodecTraining,
    Coded,
    Sounds,
    fit_codebooks,
    train_decoder,
    train_encoder,
)
from training.codec_network import CodecShape, build, write_mimi
from training.corpus import Recording, record
from training.dialogue import Dialogue, Turn
from training.loop import Schedule
from training.phonetic import HALVES, Inventory
from training.sound_loss import SpectralLoss

SHAPE = CodecShape(filters=2, hidden=16, layers=1, heads=2, codebooks=5, codes=64, latent=8)
SIZE = CodecSize(
    shape=SHAPE, batch=2, crop=4, decoder_batch=1, decoder_crop=4,
    continuous=Schedule(3, 1e-3), quantised=Schedule(2, 1e-3), decoder=Schedule(2, 1e-3),
)  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(Dialogue((Turn(1, ("Good morning. How are you?",)),), (0.0,)), {1: (8,)})


@pytest.fixture(scope="module")
def data(recording: Recording) -> CodecData:
    inventory = Inventory.of([recording])
    return CodecData(Sounds([recording], inventory), inventory, [recording])


@pytest.fixture
def training(data: CodecData) -> CodecTraining:
    """Fitted and settled, but not trained."""
    training = CodecTraining(build(SHAPE), len(data.inventory.names)).eval()
    assert fit_codebooks(training, data.sounds, 200, step_frames=8) < 0.5
    training.settle()
    return training


def test_the_runtime_hears_and_speaks_as_in_training(
    training: CodecTraining, recording: Recording, tmp_path: Path
) -> None:
    """Every code is the same, the phonetic ones found by the residual quantizer too; and so is the sound."""
    write_mimi(tmp_path, training.model, torch.float32)
    codec = Codec.load(tmp_path, num_codebooks=5, device=CPU)
    samples = torch.from_numpy(recording.samples)
    codes = training.encode(samples)
    assert torch.equal(codec.encode(samples), codes)
    assert len(set(codes[:HALVES].flatten().tolist())) > 3
    assert torch.allclose(codec.decode(codes), training.decode(codes).clamp(-1, 1), atol=1e-5)


def test_the_codec_on_disk_is_one_that_transformers_reads(
    training: CodecTraining, recording: Recording, tmp_path: Path
) -> None:
    write_mimi(tmp_path, training.model, torch.float16)
    published = MimiModel.from_pretrained(tmp_path, dtype=torch.float32, local_files_only=True).eval()
    codec = Codec.load(tmp_path, num_codebooks=5, device=CPU)
    assert (codec.sample_rate, codec.frame_rate, codec.samples_per_frame) == (24_000, 12.5, 1920)
    samples = torch.from_numpy(recording.samples[: 1920 * 8])
    codes = codec.encode(samples)
    with torch.no_grad():
        assert torch.equal(published.encode(samples[None, None]).audio_codes[0], codes)
        theirs = published.decode(codes[None]).audio_values[0, 0]
    assert torch.allclose(theirs.clamp(-1, 1), codec.decode(codes), atol=1e-4)


def test_codes_without_a_phoneme_are_never_heard_and_sound_as_silence(
    training: CodecTraining, data: CodecData, tmp_path: Path
) -> None:
    write_mimi(tmp_path, training.model, torch.float32)
    codec = Codec.load(tmp_path, num_codebooks=5, device=CPU)
    known = len(data.inventory.names)
    assert known < SHAPE.codes
    codes = codec.encode(torch.randn(1920 * 40, generator=torch.Generator().manual_seed(0)))
    assert int(codes[:HALVES].max()) < known
    for book in training.semantic.codebooks:
        among, others = book.embed_sum[:known], book.embed_sum[known:]
        assert float(torch.cdist(among, others).min()) > 10 * float(torch.cdist(among, among).max())
    silent, unknown = codes.clone(), codes.clone()
    silent[:HALVES], unknown[:HALVES] = 0, known
    assert torch.allclose(codec.decode(silent), codec.decode(unknown), atol=1e-5)


def test_a_network_that_has_not_learnt_keeps_the_size_of_what_goes_through() -> None:
    model = build(CodecShape())
    training = CodecTraining(model, 40)
    sound = 0.1 * torch.randn(2, 1920 * 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = training.latents(sound)
        last = model.decoder.layers[-1].get_parameter("conv.weight")
        last.div_(0.05)  # else it begins near silence
        made = training.decoded(torch.zeros_like(latents.semantic), latents.acoustic)
    assert 0.3 < float(latents.acoustic.std()) < 3
    assert 0.3 < float(made.std()) < 3


def test_true_phonemes_are_what_is_spoken_from_most_of_the_time(training: CodecTraining, data: CodecData) -> None:
    """The decoder's phonetic input is that of the labels, in a share of crops that of what was heard."""
    crops = data.sounds.crops(40, 2, torch.Generator().manual_seed(0))
    _, losses, semantic = training._hear(crops, torch.Generator().manual_seed(0))
    true = (semantic == training.phonetic(crops.labels)).flatten(1).all(1)
    heard = training.phonetic(training.phoneme_logits(training.latents(crops.samples).semantic).argmax(-1))
    assert ((semantic == heard).flatten(1).all(1) | true).all()
    assert 0.6 < float(true.float().mean()) < 1
    assert float(losses["phoneme"].detach()) > 0


def test_the_phoneme_loss_is_what_the_first_codebooks_decide_by(training: CodecTraining, data: CodecData) -> None:
    """Moving the latents to a phoneme's place makes it the likeliest, in each half by itself."""
    labels = data.sounds.crops(3, 4, torch.Generator().manual_seed(1)).labels
    logits = training.phoneme_logits(training.phonetic(labels))
    assert torch.equal(logits.argmax(-1), labels)
    mixed = torch.cat((training.phonetic(labels)[:, :4], training.phonetic(labels.roll(1, 0))[:, 4:]), dim=1)
    expected = torch.stack((labels[:, 0], labels.roll(1, 0)[:, 1]), dim=1)
    assert torch.equal(training.phoneme_logits(mixed).argmax(-1), expected)


def test_codes_of_the_sounds_are_those_of_whole_recordings_cut_in_pieces(
    training: CodecTraining, data: CodecData
) -> None:
    coded = Coded(training, data.sounds, piece=10)
    assert coded.codes.shape == (5, len(data.sounds))
    crops = data.sounds.at(torch.tensor([10]), 10)
    codes, mask = coded.with_slips(crops, Slips(spoilt=0.0), SHAPE.codes, torch.Generator().manual_seed(0))
    assert torch.equal(codes[0], training.encode(crops.samples[0]))
    assert mask.all()
    spoilt, _ = coded.with_slips(crops, Slips(spoilt=1.0, exchanged=0.0, random=1.0, dropped=0.0), SHAPE.codes,
                                 torch.Generator().manual_seed(0))  # fmt: skip
    assert torch.equal(spoilt[:, :3], codes[:, :3])  # phonemes, and the first of the others, are never random
    assert (spoilt[:, 3:] != codes[:, 3:]).any()


def test_all_stages_train_and_go_on_where_they_were(
    data: CodecData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = train_encoder(tmp_path, SIZE, data, device=CPU)
    assert 0 <= figures["stoi"] <= 1
    assert 0 <= figures["phonemes"] <= 1
    assert train_encoder(tmp_path, SIZE, data, device=CPU) == {}
    encoder = load_mimi(tmp_path / "encoder", "it", CPU).state_dict()
    train_decoder(tmp_path, SIZE, data, device=CPU)
    assert train_decoder(tmp_path, SIZE, data, device=CPU) == {}
    said = capsys.readouterr().out
    stages = [line.partition(", step")[0] for line in said.splitlines() if "validation" in line]
    assert list(dict.fromkeys(stages)) == ["codec, continuous", "codec, quantised", "codec, decoder"]
    final = load_mimi(tmp_path / "mimi", "it", CPU).state_dict()
    for name, tensor in encoder.items():
        same = torch.allclose(tensor, final[name], atol=1e-3, rtol=1e-3)  # stored in float16
        if name.startswith(("encoder", "downsample")) or "input_proj" in name or "codebook" in name:
            assert same, f"{name} moved: codes that were made are wrong"
        if name == "decoder.layers.0.conv.weight":
            assert not torch.equal(tensor.half().float(), final[name])


def test_the_second_stage_teaches_codebooks_and_encoder(training: CodecTraining, data: CodecData) -> None:
    crops = data.sounds.at(torch.tensor([4, 8]), 4)
    before = [book.embed_sum.clone() for book in training.acoustic.codebooks]
    losses = training.quantised(crops, torch.Generator().manual_seed(0))
    assert all(not torch.equal(a, book.embed_sum) for a, book in zip(before, training.acoustic.codebooks, strict=True))
    losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    gradient = training.model.encoder.layers[0].get_parameter("conv.weight").grad
    assert gradient is not None
    assert float(gradient.abs().sum()) > 0
    assert float(losses["commitment"].detach()) > 0


def test_the_loss_is_zero_only_for_the_same_sound() -> None:
    loss, x = SpectralLoss(), torch.randn(1, 9600, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(loss(x, x)) == 0
    assert float(loss(x * 0.5, x)) > float(loss(x * 0.9, x)) > 0


def test_silence_has_losses_and_gradients_that_are_numbers(training: CodecTraining, data: CodecData) -> None:
    crops = data.sounds.at(torch.tensor([4]), 4)
    silent = crops._replace(samples=torch.zeros_like(crops.samples))
    for stage in (training.continuous, training.quantised):
        training.zero_grad()
        stage(silent, torch.Generator().manual_seed(0))["loss"].backward()  # type: ignore[no-untyped-call]  # torch's
        assert all(p.grad.isfinite().all() for p in training.parameters() if p.grad is not None)


def test_more_phonemes_than_codes_are_refused(data: CodecData) -> None:
    with pytest.raises(AssertionError, match="more than the 4 codes"):
        CodecTraining(build(replace(SHAPE, codes=4)), 5)
