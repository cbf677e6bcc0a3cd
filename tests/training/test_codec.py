"""The codec's training: what it computes is what the runtime decodes, and codes mean what the corpus says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import MimiModel

from dia2.audio.codec import Codec
from dia2.audio.mimi.network import load_mimi
from training.acoustics import LABELLED, Acoustics
from training.codebooks import Slips
from training.codec import CodecData, CodecSize, CodecTraining, Sounds, train_decoder, train_encoder
from training.codec_network import CodecShape, build, write_mimi
from training.corpus import Recording, record
from training.dialogue import Dialogue, Turn
from training.loop import Schedule
from training.sound_loss import SpectralLoss

from ..support.speech import has_flite

pytestmark = pytest.mark.skipif(not has_flite(), reason="flite is not installed")

SHAPE = CodecShape(filters=2, hidden=24, layers=1, heads=2, codebooks=5, codes=64, latent=12)
SIZE = CodecSize(
    shape=SHAPE, batch=2, crop=4, waveform=Schedule(3, 1e-3), decoder=Schedule(2, 1e-3), encoder=Schedule(2, 1e-3)
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(Dialogue((Turn(1, ("Good morning. How are you?",)), Turn(2, ("Fine, thanks.",))), (0.0, 0.0)))


@pytest.fixture(scope="module")
def data(recording: Recording) -> CodecData:
    acoustics = Acoustics.fit([recording], SHAPE.latent, SHAPE.codebooks - LABELLED, SHAPE.codes)
    return CodecData(Sounds([recording], acoustics), acoustics, [recording])


@pytest.fixture
def training(data: CodecData) -> CodecTraining:
    """Settled, but not trained."""
    training = CodecTraining(build(SHAPE), data.acoustics).eval()
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
    assert len(set(codes[:LABELLED].flatten().tolist())) > 3
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


def test_codes_that_mean_nothing_are_never_heard_and_sound_as_silence(training: CodecTraining, tmp_path: Path) -> None:
    write_mimi(tmp_path, training.model, torch.float32)
    codec = Codec.load(tmp_path, num_codebooks=5, device=CPU)
    codes = codec.encode(torch.randn(1920 * 40, generator=torch.Generator().manual_seed(0)))
    silent, unknown = codes.clone(), codes.clone()
    for k, (book, known) in enumerate(zip(training.labelled.codebooks, training.counts, strict=True)):
        assert known < SHAPE.codes
        assert int(codes[k].max()) < known
        among, others = book.embed_sum[:known], book.embed_sum[known:]
        assert float(torch.cdist(among, others).min()) > 10 * float(torch.cdist(among, among).max())
        silent[k], unknown[k] = 0, known
    assert torch.allclose(codec.decode(silent), codec.decode(unknown), atol=1e-5)


def test_the_true_codes_come_out_where_the_true_latents_go_in(training: CodecTraining, data: CodecData) -> None:
    """By the runtime's residual quantizers: in the labelled group each codebook finds its own part alone."""
    crops = data.sounds.at(torch.tensor([0, 10]), 10)
    placed = training.placed(crops.codes[:, :LABELLED])
    assert torch.equal(training.logits(placed).argmax(-1), crops.codes[:, :LABELLED])
    for quantizer, latents, codes in (
        (training.labelled, placed, crops.codes[:, :LABELLED]),
        (training.rest, crops.latents, crops.codes[:, LABELLED:]),
    ):
        rest = latents[0].T
        for book, row in zip(quantizer.codebooks, codes[0], strict=True):
            found, vectors = book.nearest(rest)
            assert torch.equal(found, row)
            rest = rest - vectors
    mixed = torch.cat((placed[:, :4], training.placed(crops.codes[:, :LABELLED].roll(1, 0))[:, 4:]), dim=1)
    expected = torch.cat((crops.codes[:, :1], crops.codes[:, 1:LABELLED].roll(1, 0)), dim=1)
    assert torch.equal(training.logits(mixed).argmax(-1), expected)


def test_a_network_that_has_not_learnt_keeps_the_size_of_what_goes_through(data: CodecData) -> None:
    model = build(CodecShape(codebooks=5, codes=64, latent=12))
    training = CodecTraining(model, data.acoustics)
    sound = 0.1 * torch.randn(2, 1920 * 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = training.latents(sound)
        last = model.decoder.layers[-1].get_parameter("conv.weight")
        last.div_(0.05)  # else it begins near silence
        made = training.decoded(torch.zeros_like(latents.labelled), latents.rest)
    assert 0.3 < float(latents.rest.std()) < 3
    assert 0.3 < float(made.std()) < 3


def test_slips_are_in_the_later_codes_of_some_crops(data: CodecData) -> None:
    crops = data.sounds.at(torch.tensor([10]), 10)
    codes, mask = data.sounds.with_slips(crops, Slips(spoilt=0.0), SHAPE.codes, torch.Generator().manual_seed(0))
    assert torch.equal(codes, crops.codes[:, LABELLED:])
    assert mask.all()
    slips = Slips(spoilt=1.0, exchanged=0.0, random=1.0, dropped=0.0)
    spoilt, _ = data.sounds.with_slips(crops, slips, SHAPE.codes, torch.Generator().manual_seed(0))
    assert torch.equal(spoilt[:, :1], codes[:, :1])  # the first of them is never random
    assert (spoilt[:, 1:] != codes[:, 1:]).any()


def test_crops_are_cut_where_their_codes_are(data: CodecData, recording: Recording) -> None:
    crops = data.sounds.at(torch.tensor([3]), 5)
    codes = data.acoustics.codes(recording)
    assert torch.equal(crops.codes[0], codes[:, 3:8])
    wanted = torch.from_numpy(recording.samples[3 * 1920 : 8 * 1920])
    assert torch.allclose(crops.samples[0], wanted, atol=1e-4)
    latents = data.acoustics.latents(recording, codes[:LABELLED])[3:8]
    assert torch.allclose(crops.latents[0].T, latents, atol=0.01)


def test_both_halves_train_and_go_on_where_they_were(
    data: CodecData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = train_decoder(tmp_path, SIZE, data, device=CPU)
    assert 0 <= figures["stoi"] <= 1
    assert train_decoder(tmp_path, SIZE, data, device=CPU) == {}
    speaks = load_mimi(tmp_path / "speaks", "it", CPU).state_dict()
    figures = train_encoder(tmp_path, SIZE, data, device=CPU)
    assert 0 <= figures["phonemes"] <= 1
    assert 0 <= figures["pitch"] <= 1
    assert train_encoder(tmp_path, SIZE, data, device=CPU) == {}
    said = capsys.readouterr().out
    stages = [line.partition(", step")[0] for line in said.splitlines() if "validation" in line]
    assert list(dict.fromkeys(stages)) == ["codec, waveform", "codec, decoder", "codec, encoder"]
    untrained = CodecTraining(build(SHAPE), data.acoustics).model.state_dict()
    final = load_mimi(tmp_path / "mimi", "it", CPU).state_dict()
    for name, tensor in speaks.items():
        hears = name.startswith(("encoder", "downsample")) or "input_proj" in name
        if hears:
            assert torch.equal(tensor, untrained[name]), f"{name} moved before its turn"
        else:  # stored in float16
            assert torch.allclose(tensor, final[name], atol=1e-3, rtol=1e-3), f"{name} moved: codes mean something else"
    for part, before, after in (("encoder", speaks, final), ("decoder", untrained, speaks)):
        names = [name for name in final if name.startswith(f"{part}.")]
        assert any(not torch.equal(before[name].half().float(), after[name].half().float()) for name in names), part


def test_the_loss_is_zero_only_for_the_same_sound() -> None:
    loss, x = SpectralLoss(), torch.randn(1, 9600, generator=torch.Generator().manual_seed(0)) * 0.1
    for half, nearly, same in zip(loss(x * 0.5, x), loss(x * 0.9, x), loss(x, x), strict=True):
        assert float(half) > float(nearly) > 1e-3 > float(same)


def test_phase_counts_in_one_of_the_distances_alone() -> None:
    loss, x = SpectralLoss(), torch.randn(1, 9600, generator=torch.Generator().manual_seed(0)) * 0.1
    inverted, same = loss(-x, x), loss(x, x)
    assert float(inverted.heard) == pytest.approx(float(same.heard), abs=1e-6)
    assert float(inverted.phase) > 100 * float(same.phase)


def test_the_first_stage_knows_no_magnitudes(training: CodecTraining, data: CodecData) -> None:
    crops = data.sounds.at(torch.tensor([4, 10]), 4)
    with torch.no_grad():
        losses = training.waveform(crops)
        later = training.decoder(data.sounds, crops, Slips(spoilt=0.0), torch.Generator().manual_seed(0))
    assert float(losses["loss"]) == pytest.approx(float(10 * losses["wave"] + 10 * losses["phase"]))
    assert float(later["wave"]) == pytest.approx(float(losses["wave"]))
    assert float(later["loss"]) == pytest.approx(float(losses["loss"] + losses["heard"]))


def test_silence_has_losses_and_gradients_that_are_numbers(training: CodecTraining, data: CodecData) -> None:
    crops = data.sounds.at(torch.tensor([4]), 4)
    silent = crops._replace(samples=torch.zeros_like(crops.samples))
    generator = torch.Generator().manual_seed(0)
    speaking = training.waveform(silent), training.decoder(data.sounds, silent, Slips(), generator)
    for losses in (training.encoder(silent), *speaking):
        training.zero_grad()
        losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch's
        assert all(p.grad.isfinite().all() for p in training.parameters() if p.grad is not None)


def test_more_phonemes_than_codes_are_refused(data: CodecData) -> None:
    with pytest.raises(AssertionError, match="more than the 4 codes"):
        CodecTraining(build(replace(SHAPE, codes=4)), data.acoustics)
