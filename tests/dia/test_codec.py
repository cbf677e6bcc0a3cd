"""DAC on small random checkpoints in transformers' format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers import DacConfig, DacModel

from dia.codec import DacCodec, decode_audio
from dia2.common.errors import CheckpointError
from dia2.common.hooks import observing

from ..support.dia import CPU, StepRecorder

CHANNELS, CODES, FRAME = 3, 16, 8
GIVE = "give a folder or a hub repo with a DAC checkpoint, such as descript/dac_44khz."


def build(seed: int = 0, **overrides: Any) -> Any:
    """A random DAC of 5 codebooks of 16 codes and 8 samples a frame."""
    settings: dict[str, Any] = {
        "encoder_hidden_size": 4, "decoder_hidden_size": 12, "downsampling_ratios": [2, 4], "n_codebooks": 5,
        "codebook_size": CODES, "codebook_dim": 4, "sampling_rate": 8000,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DacModel(DacConfig(**(settings | overrides))).eval()
        with torch.no_grad():
            for name, values in model.named_parameters():  # transformers begins with decoders that hardly sound
                if name.startswith("decoder") and name.endswith("weight"):
                    values.normal_(std=2.0 * values[0].numel() ** -0.5)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dac")
    build().save_pretrained(folder)
    return folder


@pytest.fixture
def damaged(saved: Path, tmp_path: Path) -> Path:
    """Give a copy of the checkpoint for the test to damage."""
    return Path(shutil.copytree(saved, tmp_path / "damaged"))


@pytest.fixture(scope="module")
def codec(saved: Path) -> DacCodec:
    return load(saved)


def load(folder: Path, channels: int = CHANNELS) -> DacCodec:
    return DacCodec.load(folder, channels=channels, device=CPU)


def refusal(folder: Path, channels: int = CHANNELS) -> str:
    """The message with which a codec is refused: one line that names it."""
    with pytest.raises(CheckpointError) as caught:
        load(folder, channels)
    message = str(caught.value)
    assert str(folder) in message
    assert len(message.splitlines()) == 1
    assert message.endswith(".")
    return message.replace(str(folder), "FOLDER")


def set_config(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    edit(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def noise(samples: int) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


def random_codes(frames: int, channels: int = CHANNELS) -> Tensor:
    return torch.randint(0, CODES, (frames, channels), generator=torch.Generator().manual_seed(0))


# Sizes, encoding, decoding


def test_what_a_codec_is(codec: DacCodec, saved: Path) -> None:
    assert (codec.sample_rate, codec.samples_per_frame, codec.frame_rate) == (8000, FRAME, 1000.0)
    assert (codec.codebook_size, codec.channels, codec.name) == (CODES, CHANNELS, str(saved))


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (7, 1), (8, 1), (9, 2), (80, 10), (81, 11), (800, 100)])
def test_encode_pads_a_partial_last_frame_with_zeros(codec: DacCodec, samples: int, frames: int) -> None:
    audio = noise(samples)
    codes = codec.encode(audio)
    assert codes.shape == (frames, CHANNELS)
    assert codes.dtype == torch.int64
    assert codes.is_contiguous()
    padded = torch.cat((audio, torch.zeros(frames * FRAME - samples)))
    assert torch.equal(codes, codec.encode(padded))


def test_encode_gives_dacs_own_first_codebooks(codec: DacCodec) -> None:
    audio = noise(400)
    with torch.no_grad():
        theirs = build().encode(audio[None, None]).audio_codes[0]  # [codebooks, T]
    assert torch.equal(codec.encode(audio), theirs[:CHANNELS].T)
    assert len(set(theirs.flatten().tolist())) > 8


def test_decode_is_dacs_own_of_these_codebooks(codec: DacCodec) -> None:
    codes = random_codes(20)
    model = build()
    with torch.no_grad():
        vectors = sum(
            quantizer.out_proj(quantizer.codebook(codes[None, :, n]).transpose(1, 2))
            for n, quantizer in enumerate(model.quantizer.quantizers[:CHANNELS])
        )
        expected = model.decoder(vectors).flatten()
    assert 0.05 < float(expected.abs().max()) <= 1.0
    waveform = codec.decode(codes)
    torch.testing.assert_close(waveform, expected, rtol=0, atol=1e-5)
    assert len(waveform) == 20 * FRAME
    assert waveform.dtype == torch.float32
    assert not waveform.requires_grad


def test_no_frames_are_no_samples(codec: DacCodec) -> None:
    waveform = codec.decode(random_codes(0))
    assert waveform.shape == (0,)
    assert waveform.dtype == torch.float32


def test_decoding_is_a_phase(codec: DacCodec) -> None:
    recorder = StepRecorder("dia.decode")
    with observing(recorder):
        decode_audio(codec, random_codes(3))
    assert [span.name for span in recorder.spans] == ["dia.decode"]


# What is refused


def test_too_few_codebooks(saved: Path) -> None:
    assert load(saved, 5).channels == 5
    assert refusal(saved, 6) == f"DAC codec FOLDER has 5 codebooks, and the model speaks in 6: {GIVE}"


@pytest.mark.parametrize("kind", ["mimi", "encodec", 5, None])
def test_another_model(damaged: Path, kind: object) -> None:
    set_config(damaged, model_type=kind)
    assert refusal(damaged) == f"Checkpoint FOLDER holds a model of type {kind!r}, not a DAC codec: {GIVE}"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"{}", b"\xff", b"5", b"[" * 100_000])
def test_a_config_that_is_none(damaged: Path, content: bytes) -> None:
    (damaged / "config.json").write_bytes(content)
    message = refusal(damaged)
    assert message.startswith("The config.json of DAC codec FOLDER cannot be read (")
    assert message.endswith(GIVE)


def test_no_config(damaged: Path) -> None:
    (damaged / "config.json").unlink()
    assert refusal(damaged).startswith("The config.json of DAC codec FOLDER cannot be read (")


def test_no_weights(damaged: Path) -> None:
    (damaged / "model.safetensors").unlink()
    assert refusal(damaged).startswith("DAC codec FOLDER cannot be loaded (")


def test_a_pickle_is_never_opened(damaged: Path) -> None:
    weights = safetensors.torch.load_file(damaged / "model.safetensors")
    (damaged / "model.safetensors").unlink()
    torch.save(weights, damaged / "pytorch_model.bin")
    assert refusal(damaged).startswith("DAC codec FOLDER cannot be loaded (")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_weights_that_were_cut_off(damaged: Path, keep: float) -> None:
    path = damaged / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    assert refusal(damaged).startswith("DAC codec FOLDER cannot be loaded (")


def test_missing_tensors_are_named(damaged: Path) -> None:
    edit_weights(damaged, lambda weights: weights.pop("quantizer.quantizers.2.codebook.weight"))
    assert "lacks tensors, or they have another shape than its config.json says (quantizer.quantizers.2.codebook" in (
        refusal(damaged)
    )


def test_tensors_of_another_shape_are_named(damaged: Path) -> None:
    set_config(damaged, codebook_size=8)
    assert "(quantizer.quantizers.0.codebook.weight, quantizer.quantizers.1.codebook.weight, " in refusal(damaged)


@pytest.mark.parametrize(
    "values",
    [
        {"n_codebooks": 10**6},
        {"n_codebooks": -1},
        {"n_codebooks": "5"},
        {"downsampling_ratios": [2] * 1000},
        {"upsampling_ratios": [2] * 100_000},
    ],
    ids=lambda values: next(iter(values)),
)
def test_counts_without_end(damaged: Path, values: dict[str, Any]) -> None:
    set_config(damaged, **values)
    assert refusal(damaged) == f"The config.json of DAC codec FOLDER asks for more than 256 layers: {GIVE}"


@pytest.mark.parametrize(
    "values",
    [
        {"codebook_size": 1 << 40},
        {"decoder_hidden_size": 1 << 20},
        {"encoder_hidden_size": 1 << 16},
        {"codebook_dim": 1 << 33},
        {"downsampling_ratios": [2, 1 << 30]},
        {"sampling_rate": "8000"},
        {"codebook_size": None},
        {"downsampling_ratios": [2, "4"]},
        {"downsampling_ratios": [0, 4]},
    ],
    ids=str,
)
def test_sizes_that_no_weights_fill(damaged: Path, values: dict[str, Any]) -> None:
    set_config(damaged, **values)
    assert refusal(damaged).startswith("DAC codec FOLDER cannot be loaded (")


@pytest.mark.parametrize("rate", [0, -8000])
def test_no_samples_a_second(damaged: Path, rate: int) -> None:
    set_config(damaged, sampling_rate=rate)
    assert refusal(damaged) == (f"DAC codec FOLDER has {rate} samples a second, and takes 8 for a frame of 8: {GIVE}")


def test_frames_that_come_out_longer_than_they_went_in() -> None:
    model = build()
    model.config.upsampling_ratios = [4, 4]
    with pytest.raises(CheckpointError, match="has 8000 samples a second, and takes 8 for a frame of 16"):
        DacCodec(model, CHANNELS, "test")


def test_a_frame_may_be_one_sample_and_no_less() -> None:
    config = SimpleNamespace(n_codebooks=5, codebook_size=CODES, sampling_rate=1, downsampling_ratios=[1, 1])
    config.upsampling_ratios = [1]
    assert DacCodec(SimpleNamespace(config=config), CHANNELS, "tiny").samples_per_frame == 1
    config.downsampling_ratios = config.upsampling_ratios = [1, 0]
    with pytest.raises(CheckpointError, match="takes 0 for a frame of 0"):
        DacCodec(SimpleNamespace(config=config), CHANNELS, "tiny")
