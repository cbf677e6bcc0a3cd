"""Mimi's network computes what transformers' does, and reads or refuses each config by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import MimiConfig as TheirConfig
from transformers import MimiModel

from dia2.audio.codec import Codec
from dia2.audio.mimi.config import MimiConfig, read_config
from dia2.common.errors import CheckpointError
from dia2.runtime.assets import nano_folder

from .test_codec import CONFORMANCE, assert_one_sentence, build, load, loaded, random_codes, set_config

ODD: dict[str, dict[str, Any]] = {
    "a window of itself alone": {"sliding_window": 1},
    "padded with its first input": {"pad_mode": "replicate"},
    "shortcut convolutions": {"use_conv_shortcut": True},
    "shared key heads": {"num_key_value_heads": 1, "num_residual_layers": 1, "upsampling_ratios": [6, 4]},
    "biases, wide heads, another base": {
        "attention_bias": True,
        "head_dim": 12,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    },
    "kernels that no stride divides": {"kernel_size": 4, "last_kernel_size": 5, "residual_kernel_size": 2},
    "dilated far, narrow inside": {"num_residual_layers": 3, "dilation_growth_rate": 3, "compress": 4},
    "no projections": {"codebook_dim": 16, "vector_quantization_hidden_dimension": 16},
    "three semantic codebooks": {"num_semantic_quantizers": 3},
    "four positions a frame": {"frame_rate": 250.0},
    "one position a frame": {"sampling_rate": 24_012, "frame_rate": 1000.5},
    "upsampled in groups": {"upsample_groups": 4, "num_hidden_layers": 0},
    "gelu by tanh": {"hidden_act": "gelu_pytorch_tanh", "norm_eps": 1e-3},
    "silu": {"hidden_act": "silu"},
    "relu, no residual blocks": {"hidden_act": "relu", "num_residual_layers": 0},
}


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))


@torch.no_grad()
def assert_agrees(codec: Codec, theirs: Any, samples: Tensor, codes: Tensor, lengths: list[int]) -> None:
    """Codes of samples, and samples of codes whole and in pieces, are those of transformers."""
    padded = F.pad(samples, (0, -len(samples) % codec.samples_per_frame))
    expected = theirs.encode(padded[None, None], num_quantizers=codec.num_codebooks).audio_codes[0]
    assert torch.equal(codec.encode(samples), expected)
    waveform = theirs.decode(codes[None]).audio_values[0, 0]
    assert 0 < waveform.abs().max() < 1
    close(codec.decode(codes), waveform)
    stream = codec.stream()
    close(torch.cat([stream.push(piece) for piece in torch.split(codes, lengths, dim=1)]), waveform)


@pytest.mark.parametrize("name", ODD)
def test_the_network_is_transformers(name: str) -> None:
    theirs = build(**ODD[name])
    if "attention_bias" in ODD[name]:  # transformers begins with zeros
        for parameter in (value for key, value in theirs.named_parameters() if key.endswith("proj.bias")):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    codes = random_codes(6, 30)
    with torch.no_grad():
        loudest = theirs.decode(codes[None]).audio_values.abs().max()
        for parameter in theirs.decoder.decoder_seanet.layers[-1].parameters():
            parameter.mul_(0.5 / loudest)
    codec = loaded(theirs)
    samples = torch.randn(40 * codec.samples_per_frame + 5, generator=torch.Generator().manual_seed(1))
    assert_agrees(codec, theirs, samples, codes, [1, 1, 2, 5, 1, 20])


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 999), count=st.integers(1, 6), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_random_checkpoints_compute_what_they_do_in_transformers(seed: int, count: int, lengths: list[int]) -> None:
    theirs = build(seed)
    draw = torch.Generator().manual_seed(seed)
    samples = torch.randn(int(torch.randint(1, 6000, (1,), generator=draw)), generator=draw)
    assert_agrees(loaded(theirs, count), theirs, samples, random_codes(count, sum(lengths), seed), lengths)


@pytest.mark.parametrize("folder", ["nano", "tiny8", "tiny4", "tiny3"])
def test_recordings_have_the_codes_that_they_have_in_transformers(folder: str) -> None:
    path = (nano_folder() if folder == "nano" else CONFORMANCE / folder) / "mimi"
    theirs = MimiModel.from_pretrained(path, dtype=torch.float32).eval()
    codec = load(path, theirs.config.num_quantizers)
    for recording in sorted(CONFORMANCE.glob("tiny8/spk*.wav")):  # which the others have too
        samples = torch.from_numpy(soundfile.read(recording, dtype="float32")[0])
        codes = codec.encode(samples)
        assert_agrees(codec, theirs, samples, codes, [1, 2, codes.shape[1] - 3])


def test_a_tie_goes_to_the_first_of_equal_vectors() -> None:
    theirs = build()
    for module in theirs.quantizer.modules():
        if hasattr(module, "embed_sum"):
            module.embed_sum[8:] = module.embed_sum[:8]
            module._embed = None  # their quotient, which building the model left here
    assert_agrees(loaded(theirs), theirs, torch.randn(960), random_codes(6, 4), [4])


# --- config.json


def written(folder: Path, **values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "mimi"} | values), encoding="utf-8")
    return folder


def test_what_a_config_leaves_out_is_as_in_transformers(tmp_path: Path) -> None:
    ours, theirs = read_config(written(tmp_path), "it"), TheirConfig()
    assert ours.rope_theta == theirs.rope_parameters["rope_theta"]
    for name in MimiConfig.__dataclass_fields__:
        if name != "rope_theta":
            assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.samples_per_frame == theirs.frame_size


@pytest.mark.parametrize(
    "raw",
    [
        {"frame_rate": 25.0, "sampling_rate": 48_000},
        {"frame_rate": 100.0, "_frame_rate": 12.5},
        {"frame_rate": 100.0, "_frame_rate": None},
        {"rope_theta": 5.0},
        {"rope_theta": 5.0, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}},
        {"rope_theta": 5.0, "rope_parameters": {"rope_type": "default"}},
        {"rope_theta": 5.0, "rope_scaling": {"type": "default"}},
        {"rope_theta": 5.0, "rope_scaling": None, "rope_parameters": None},
        {"head_dim": None, "num_attention_heads": 4, "num_key_value_heads": 2, "upsampling_ratios": None},
        {"head_dim": 0, "upsampling_ratios": []},
        {"head_dim": 32},
    ],
)
def test_old_and_new_spellings_mean_what_they_do_in_transformers(raw: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = read_config(written(tmp_path, **raw), "it"), TheirConfig.from_dict(json.loads(json.dumps(raw)))
    assert ours.frame_rate == theirs.frame_rate
    assert ours.rope_theta == theirs.rope_parameters["rope_theta"]
    assert (ours.head_dim, ours.upsampling_ratios) == (theirs.head_dim, theirs.upsampling_ratios)


SIZES = (
    *("sampling_rate", "hidden_size", "num_filters", "kernel_size", "last_kernel_size", "residual_kernel_size"),
    *("compress", "upsample_groups", "codebook_size", "codebook_dim", "intermediate_size", "num_attention_heads"),
    *("num_key_value_heads", "sliding_window", "num_quantizers", "num_semantic_quantizers", "dilation_growth_rate"),
)


@pytest.mark.parametrize("name", [*SIZES, "num_hidden_layers", "num_residual_layers", "head_dim"])
@pytest.mark.parametrize("value", [-1, 0, 1 << 30, 10**400, "x", True, 1.5, [1], {}])
def test_a_size_that_no_codec_can_have_is_refused_by_name(name: str, value: object, tmp_path: Path) -> None:
    if value == 0 and value is not False and name in ("num_hidden_layers", "num_residual_layers", "head_dim"):
        assert read_config(written(tmp_path, **{name: value}), "it")
        return
    with pytest.raises(CheckpointError, match=f"The config.json of Mimi codec it: field {name} must be") as caught:
        read_config(written(tmp_path, **{name: value}), "it")
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"audio_channels": 2}, "it has 2 audio channels instead of 1: give a folder"),
        ({"use_causal_conv": False}, "its convolutions are not causal"),
        ({"pad_mode": "zzz"}, "field pad_mode may be constant, replicate, not 'zzz'"),
        ({"pad_mode": "reflect"}, "field pad_mode may be"),
        ({"trim_right_ratio": 0.5}, "field trim_right_ratio must be 1"),
        ({"hidden_act": "xielu"}, "field hidden_act may be gelu, .*, not 'xielu'"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rotary positions of type 'dynamic'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rotary positions of type 'linear'"),
        ({"rope_parameters": {"rope_type": 3}}, "field rope_parameters.rope_type must be a string"),
        ({"rope_parameters": {"rope_theta": "x"}}, "field rope_parameters.rope_theta must be a finite number"),
        ({"rope_parameters": [1]}, "rope_parameters must be an object"),
        ({"rope_theta": 0}, "field rope_theta must be more than 0"),
        ({"rope_theta": float("nan")}, "rope_theta must be a finite number"),
        ({"norm_eps": -1.0}, "field norm_eps must not be negative"),
        ({"frame_rate": -12.5}, "field frame_rate must be at least"),
        ({"frame_rate": 1e-300}, "field frame_rate must be at least"),
        ({"frame_rate": float("inf")}, "field frame_rate must be a finite number"),
        ({"frame_rate": 12.0}, r"contradicts itself \(24000 samples and 12.0 frames a second, but 1920 samples"),
        ({"frame_rate": 25.0}, "lacks its downsampling and its upsampling"),
        ({"frame_rate": 50.0}, "lacks its downsampling and its upsampling"),
        ({"upsampling_ratios": [0, 4]}, "field upsampling_ratios must be"),
        ({"upsampling_ratios": [2] * 17}, "field upsampling_ratios must be"),
        ({"upsampling_ratios": [1 << 15, 1 << 15]}, "field upsampling_ratios must be"),
        ({"upsampling_ratios": [10**400]}, "field upsampling_ratios must be"),
        ({"upsampling_ratios": ["x"]}, r"field upsampling_ratios\[0\] must be a whole number"),
        ({"frame_rate": 0.1, "sampling_rate": 24_000}, "contradicts itself"),
        ({"codebook_dim": 128}, "field codebook_dim is 128, but vector_quantization_hidden_dimension is 256"),
        ({"num_filters": 2, "compress": 4}, "field compress is larger than num_filters"),
        ({"num_attention_heads": 3}, "field hidden_size is 512, no multiple of num_attention_heads, 3"),
        ({"num_key_value_heads": 3}, "field num_attention_heads is 8, no multiple of num_key_value_heads, 3"),
        ({"upsample_groups": 3}, "field hidden_size is 512, no multiple of upsample_groups, 3"),
        ({"head_dim": 7}, "field head_dim must be even"),
        ({"num_semantic_quantizers": 32}, "field num_semantic_quantizers must be 1 to 31"),
    ],
)
def test_a_config_that_is_not_computed_is_refused(raw: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_config(written(tmp_path, **raw), "it")
    assert_one_sentence(caught.value)
    assert "codec it" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"num_residual_layers": 200, "dilation_growth_rate": 256}, "lacks .* tensors"),
        ({"dilation_growth_rate": 256, "num_residual_layers": 2, "residual_kernel_size": 1 << 24}, "has shape"),
        ({"hidden_size": 1 << 24, "upsample_groups": 1, "num_filters": 1 << 24, "num_hidden_layers": 0}, "has shape"),
        ({"kernel_size": 1 << 24}, "has shape"),
        ({"num_hidden_layers": 256}, "lacks .* tensors"),
    ],
)
def test_a_config_that_asks_for_the_moon_takes_no_memory(raw: dict[str, Any], message: str, tmp_path: Path) -> None:
    build().save_pretrained(tmp_path)
    set_config(tmp_path, **raw)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path)
    assert_one_sentence(caught.value)


def test_a_codec_whose_convolutions_reach_too_far_back_takes_no_memory(tmp_path: Path) -> None:
    build(num_residual_layers=4, upsampling_ratios=[2], num_filters=2).save_pretrained(tmp_path)
    assert load(tmp_path)
    set_config(tmp_path, dilation_growth_rate=256)  # of which the weights say nothing
    with pytest.raises(CheckpointError, match="convolutions that reach too far back") as caught:
        load(tmp_path)
    assert_one_sentence(caught.value)


def test_it_can_be_loaded_whatever_the_caller_has_made_of_torch(tmp_path: Path) -> None:
    theirs, codes = build(), random_codes(6, 8)
    theirs.save_pretrained(tmp_path)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode():
            codec = load(tmp_path)
    finally:
        torch.set_default_dtype(before)
    assert torch.equal(codec.decode(codes), loaded(theirs).decode(codes))
    assert {values.dtype for values in codec._model.state_dict().values()} == {torch.float32}
    assert not any(values.requires_grad for values in codec._model.parameters())
