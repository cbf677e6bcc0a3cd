"""The codec whole and in pieces, on small random checkpoints whose attention window is far shorter than the streams.

What the network computes is compared with transformers' in test_mimi.py.
"""

import ast
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import MimiConfig, MimiModel
from transformers.utils import logging

import dia2.audio.codec
from dia2.audio.codec import Codec, StreamingDecoder
from dia2.common.errors import CheckpointError, UsageError
from dia2.runtime.assets import nano_folder

CPU = torch.device("cpu")
CONFORMANCE = Path(__file__).parents[1] / "conformance"
WINDOW = 8  # positions of the decoder's transformer: 4 frames
SAMPLES_PER_FRAME = 48


def build(seed: int = 0, **overrides: Any) -> Any:
    """Build a random Mimi of 6 codebooks of 16 codes, loud but never clipped, whose attention carries weight."""
    settings = {
        "hidden_size": 16, "num_filters": 4, "upsampling_ratios": [4, 3, 2], "num_residual_layers": 2,
        "codebook_size": 16, "codebook_dim": 8, "vector_quantization_hidden_dimension": 8, "num_quantizers": 6,
        "upsample_groups": 16, "num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 2,
        "num_key_value_heads": 2, "sliding_window": WINDOW, "layer_scale_initial_scale": 1.0, "initializer_range": 0.3,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MimiModel(MimiConfig(**(settings | overrides))).eval()
        for name, values in model.quantizer.named_buffers():
            if name.endswith("embed_sum"):  # transformers starts with codebooks of zeros
                values.normal_()
        if model.decoder is not None and model.decoder.upsample is not None:
            loudest = model.decode(torch.randint(0, 16, (1, 6, 64))).audio_values.abs().max()
            with torch.no_grad():
                for values in model.decoder.decoder_seanet.layers[-1].parameters():
                    values.mul_(0.5 / loudest)
    return model


def codec(num_codebooks: int = 6, **overrides: Any) -> Codec:
    return loaded(build(**overrides), num_codebooks)


def loaded(model: Any, num_codebooks: int = 6) -> Codec:
    """Load what transformers saves of a model."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return Codec.load(folder, num_codebooks=num_codebooks, device=CPU)


def random_codes(num_codebooks: int, frames: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 16, (num_codebooks, frames), generator=torch.Generator().manual_seed(seed))


def pushed(stream: StreamingDecoder, codes: Tensor, lengths: list[int]) -> Tensor:
    pieces = [stream.push(piece) for piece in torch.split(codes, lengths, dim=1)]
    assert [len(piece) for piece in pieces] == [length * SAMPLES_PER_FRAME for length in lengths]
    return torch.cat(pieces)


VARIANTS: dict[str, Codec] = {
    "all six codebooks": codec(6),
    "four of six": codec(4),
    "the semantic one alone": codec(1),
    "shortcut convolutions": codec(6, use_conv_shortcut=True),
    "shared key heads": codec(3, num_key_value_heads=1, num_residual_layers=1, upsampling_ratios=[6, 4]),
    "kernels that no stride divides": codec(6, kernel_size=4, last_kernel_size=5, residual_kernel_size=2),
}
SIX = VARIANTS["all six codebooks"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mimi")
    build().save_pretrained(folder)
    return folder


@pytest.fixture
def damaged(saved: Path, tmp_path: Path) -> Path:
    """Give a copy of the checkpoint for the test to damage."""
    return Path(shutil.copytree(saved, tmp_path / "damaged"))


def set_config(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    edit(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path, num_codebooks: int = 6) -> Codec:
    return Codec.load(str(folder), num_codebooks=num_codebooks, device=CPU)


# --- sizes and conformance


@pytest.mark.parametrize(("name", "num_codebooks"), [("tiny8", 8), ("tiny4", 4), ("tiny3", 3)])
def test_agrees_with_the_reference(name: str, num_codebooks: int) -> None:
    codec = Codec.load(str(CONFORMANCE / name / "mimi"), num_codebooks=num_codebooks, device=CPU)
    assert (codec.sample_rate, codec.frame_rate, codec.samples_per_frame) == (24_000, 12.5, 1920)
    assert (codec.num_codebooks, codec.codebook_size) == (num_codebooks, 64)

    case = safetensors.torch.load_file(CONFORMANCE / name / "prefix2_include.safetensors")
    aligned = case["aligned"][0]  # [K, T] int16
    waveform = codec.decode(aligned)
    torch.testing.assert_close(waveform[:4800], case["waveform_head"].flatten(), rtol=0, atol=1e-3)
    assert len(waveform) == aligned.shape[1] * 1920 == int(case["waveform_samples"])
    torch.testing.assert_close(codec.stream().push(aligned), waveform, rtol=0, atol=1e-5)

    voice, _ = soundfile.read(CONFORMANCE / name / "spk1.wav", dtype="float32")
    codes = codec.encode(torch.from_numpy(voice))
    assert torch.equal(codes, aligned[:, : codes.shape[1]].to(torch.int64))


# --- encoding


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 1), (47, 1), (48, 1), (49, 2), (480, 10), (500, 11), (4800, 100)]
)
def test_encode_pads_a_partial_last_frame_with_zeros(samples: int, frames: int) -> None:
    audio = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    codes = SIX.encode(audio)
    assert codes.shape == (6, frames)
    assert codes.dtype == torch.int64
    padded = torch.cat([audio, torch.zeros(frames * SAMPLES_PER_FRAME - samples)])
    assert torch.equal(codes, SIX.encode(padded))


def test_encode_gives_the_first_codebooks() -> None:
    audio = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(VARIANTS["four of six"].encode(audio), SIX.encode(audio)[:4])
    assert torch.equal(VARIANTS["the semantic one alone"].encode(audio.double()), SIX.encode(audio)[:1])


@pytest.mark.parametrize("samples", [torch.zeros(1, 480), torch.zeros(480, dtype=torch.int16), torch.zeros(())])
def test_encode_takes_one_channel_of_floats(samples: Tensor) -> None:
    with pytest.raises(UsageError, match="one channel of floating-point samples"):
        SIX.encode(samples)


# --- decoding whole


def test_samples_are_float32_without_a_gradient() -> None:
    codes = random_codes(6, 20)
    waveform = SIX.decode(codes)
    assert 0.1 < waveform.abs().max() < 1  # nothing in these tests is hidden by the clamp
    assert waveform.dtype == torch.float32
    assert not waveform.requires_grad
    assert torch.equal(SIX.decode(codes.to(torch.uint8)), waveform)


def test_samples_are_clamped() -> None:
    loud = codec()
    codes = random_codes(6, 10)
    with torch.no_grad():
        for values in loud._model.decoder.layers[-1].parameters():
            values.mul_(1000)
    for waveform in (loud.decode(codes), loud.stream().push(codes)):
        assert waveform.min() == -1
        assert waveform.max() == 1


def test_no_frames_are_no_samples() -> None:
    for waveform in (SIX.decode(random_codes(6, 0)), SIX.stream().push(random_codes(6, 0))):
        assert waveform.shape == (0,)
        assert waveform.dtype == torch.float32


def test_codes_that_do_not_exist_decode_as_code_0() -> None:
    codes = random_codes(6, 12)
    wrong = torch.zeros(6, 12, dtype=torch.bool)
    for (codebook, frame), value in {(0, 0): -1, (1, 3): 16, (5, 4): 2**40, (2, 11): -(2**40)}.items():
        codes[codebook, frame] = value
        wrong[codebook, frame] = True
    before = codes.clone()
    expected = SIX.decode(codes.masked_fill(wrong, 0))
    assert torch.equal(SIX.decode(codes), expected)
    torch.testing.assert_close(pushed(SIX.stream(), codes, [1, 3, 8]), expected, rtol=0, atol=1e-5)
    assert torch.equal(codes, before)


@pytest.mark.parametrize("codes", [torch.zeros(5, 3).long(), torch.zeros(1, 6, 3).long(), torch.zeros(6, 3)])
def test_decode_takes_integers_in_k_rows(codes: Tensor) -> None:
    for decode in (SIX.decode, SIX.stream().push):
        with pytest.raises(UsageError, match=r"give integers of shape \[6, T\]"):
            decode(codes)


# --- decoding a stream


@pytest.mark.parametrize("name", VARIANTS)
@settings(deadline=None, max_examples=12)
@given(lengths=st.lists(st.integers(0, 9), max_size=12), seed=st.integers(0, 99))
def test_the_pieces_of_a_stream_are_the_whole(name: str, lengths: list[int], seed: int) -> None:
    codec = VARIANTS[name]
    codes = random_codes(codec.num_codebooks, sum(lengths), seed)
    stream = codec.stream()
    pieces = [stream.push(piece) for piece in torch.split(codes, lengths, dim=1)] if lengths else []
    assert [len(piece) for piece in pieces] == [length * codec.samples_per_frame for length in lengths]
    torch.testing.assert_close(torch.cat([torch.zeros(0), *pieces]), codec.decode(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("lengths", [[1] * 120, [120], [60, 60], [0, 0, 119, 0, 1], [3, 4, 5] * 10, [4] * 30])
def test_a_stream_far_longer_than_the_window_is_the_whole(lengths: list[int]) -> None:
    codes = random_codes(6, 120)
    torch.testing.assert_close(pushed(SIX.stream(), codes, lengths), SIX.decode(codes), rtol=0, atol=1e-5)


def test_the_window_matters_in_these_tests() -> None:
    codes = random_codes(6, 120)
    assert (codec(sliding_window=250).decode(codes) - SIX.decode(codes)).abs().max() > 1e-2


def test_streams_do_not_share_state() -> None:
    one, other = SIX.stream(), SIX.stream()
    ones, others = random_codes(6, 10, seed=1), random_codes(6, 10, seed=2)
    pieces = [(one.push(ones[:, i : i + 2]), other.push(others[:, i : i + 2])) for i in range(0, 10, 2)]
    torch.testing.assert_close(torch.cat([piece for piece, _ in pieces]), SIX.decode(ones), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cat([piece for _, piece in pieces]), SIX.decode(others), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_stream_of_the_first_codebooks_is_a_codec_that_has_no_more(count: int) -> None:
    codes = random_codes(6, 30)
    fewer = Codec(SIX._model, num_codebooks=count, name="fewer")
    heard = pushed(SIX.stream(range(count)), codes, [7, 23])
    torch.testing.assert_close(heard, fewer.decode(codes[:count]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("book", range(6))
def test_a_muted_codebook_adds_nothing(book: int) -> None:
    silent = codec()
    quantizer = silent._model.quantizer
    groups = quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer
    with torch.no_grad():
        [part for group in groups for part in group.codebooks][book].embed_sum.zero_()
    codes = random_codes(6, 20)
    heard = SIX.stream(set(range(6)) - {book}).push(codes)
    torch.testing.assert_close(heard, silent.decode(codes), rtol=0, atol=1e-5)
    assert (heard - SIX.decode(codes)).abs().max() > 1e-3


def test_a_stream_of_which_nothing_is_heard_is_one_of_no_vectors() -> None:
    silent = codec()
    for name, values in silent._model.quantizer.state_dict().items():
        if name.endswith("embed_sum"):
            values.zero_()
    codes = random_codes(6, 20)
    torch.testing.assert_close(SIX.stream([]).push(codes), silent.decode(codes), rtol=0, atol=1e-5)


def test_only_codebooks_that_are_there_can_be_heard() -> None:
    with pytest.raises(UsageError, match=r"some of 0 … 5, not \[0, 6\]"):
        SIX.stream([0, 6])


def test_a_wrong_piece_leaves_the_stream_as_it_was() -> None:
    codes, stream = random_codes(6, 10), SIX.stream()
    first = stream.push(codes[:, :4])
    with pytest.raises(UsageError):
        stream.push(codes[:5, 4:])
    joined = torch.cat([first, stream.push(codes[:, 4:])])
    torch.testing.assert_close(joined, SIX.decode(codes), rtol=0, atol=1e-5)


def test_a_stream_may_enter_and_leave_inference_mode() -> None:
    codes, stream = random_codes(6, 20), codec().stream()
    pieces = []
    for start, mode in enumerate((torch.inference_mode, nullcontext, torch.no_grad, torch.enable_grad)):
        with mode():
            pieces.append(stream.push(codes[:, 5 * start : 5 * start + 5]))
    assert not any(piece.requires_grad for piece in pieces)
    torch.testing.assert_close(torch.cat(pieces), SIX.decode(codes), rtol=0, atol=1e-5)


def held_bytes(value: object, seen: set[int]) -> int:
    """Add up the memory behind every tensor that a stream holds, the model's weights left out."""
    if id(value) in seen or isinstance(value, (nn.Module, Codec)):
        return 0
    seen.add(id(value))
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        fresh = storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        return storage.nbytes() if fresh else 0
    held = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    parts = value if isinstance(value, (list, tuple)) else held.values()
    return sum(held_bytes(part, seen) for part in parts)


def test_the_state_of_a_stream_is_bounded() -> None:
    stream = SIX.stream()
    sizes = []
    for frame in torch.split(random_codes(6, 80), 1, dim=1):
        stream.push(frame)
        sizes.append(held_bytes(stream, set()))
    assert 0 < sizes[0] < sizes[3]
    assert set(sizes[WINDOW:]) == {sizes[-1]}  # full after the window, and not a byte more from then on

    kept = stream._past.kept
    before = held_bytes(kept, set())
    stream.push(random_codes(6, 400))
    assert 0 < held_bytes(kept, set()) == before  # the convolutions let go of a long piece at once,
    stream.push(random_codes(6, 1))
    assert held_bytes(stream, set()) == sizes[-1]  # attention with the next one


# --- loading


def test_load_takes_a_folder_and_says_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    codes = random_codes(6, 5)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_info()
    try:
        codec = load(saved)
        assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity(verbosity)
    assert logging.is_progress_bar_enabled()
    assert capfd.readouterr() == ("", "")
    assert torch.equal(codec.decode(codes), SIX.decode(codes))


def assert_one_sentence(error: CheckpointError) -> None:
    assert "\n" not in str(error)
    assert str(error).endswith((".", "?"))
    assert ". " not in str(error)


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickle_weights(folder: Path) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")


CONV, CODEBOOK = "decoder.layers.0.conv.weight", "layers.0.codebook.embed_sum"
DAMAGE: dict[str, tuple[Callable[[Path], object], str, bool]] = {  # the damage, the message, if there is a cause
    "no folder": (shutil.rmtree, "config.json .* cannot be read", True),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json .* cannot be read", True),
    "config not JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json .* cannot be read", True),
    "config not text": (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "cannot be read", True),
    "config a list": (lambda folder: (folder / "config.json").write_text("[]"), "config.json .* cannot be read", True),
    "no model type": (lambda folder: (folder / "config.json").write_text("{}"), "config.json .* cannot be read", True),
    "another model": (lambda folder: set_config(folder, model_type="llama"), "type 'llama', not a Mimi codec", False),
    "ill-typed field": (
        lambda folder: set_config(folder, codebook_size="x"),
        "field codebook_size must be a whole number",
        False,
    ),
    "impossible field": (lambda folder: set_config(folder, num_attention_heads=3), "field hidden_size is 16", False),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors", False),
    "only a pickle": (pickle_weights, "has no model.safetensors", False),
    "not safetensors": (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "not a whole", True),
    "cut off": (truncate, "is not a whole safetensors file", True),
    "tensor missing": (
        lambda folder: edit_weights(folder, lambda weights: weights.pop(CONV)),
        rf"model.safetensors lacks tensor '{CONV}': is it the checkpoint of the config.json beside it\?",
        False,
    ),
    "many missing": (
        lambda folder: edit_weights(folder, lambda weights: [weights.pop(k) for k in [*weights] if CODEBOOK in k]),
        "lacks 2 tensors .*quantizer",
        False,
    ),
    "more codebooks promised": (lambda folder: set_config(folder, num_quantizers=9), "lacks 9 tensors", False),
    "tensor misshapen": (
        lambda folder: edit_weights(folder, lambda weights: weights.update({CONV: torch.zeros(2)})),
        rf"Tensor {CONV} of .* has shape \[2\], the config asks for \[32, 16, 7\]",
        False,
    ),
    "tensor of integers": (
        lambda folder: edit_weights(folder, lambda weights: weights.update({CONV: weights[CONV].to(torch.int8)})),
        rf"Tensor {CONV} of .* holds I8, not floats",
        False,
    ),
    "no encoder": (lambda folder: set_config(folder, encoder_config=None), "lacks its encoder", False),
    "no decoder": (lambda folder: set_config(folder, decoder_config=None), "lacks its encoder or its decoder", False),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_is_refused(name: str, damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damage, message, has_cause = DAMAGE[name]
    damage(damaged)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(damaged)
    assert str(damaged) in str(caught.value)
    assert_one_sentence(caught.value)
    assert (caught.value.__cause__ is not None) == has_cause
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()


@pytest.mark.parametrize("num_codebooks", [0, 7, 32])
def test_a_codec_must_have_the_codebooks_that_are_needed(saved: Path, num_codebooks: int) -> None:
    with pytest.raises(CheckpointError, match=f"can use 1 to 6 codebooks but {num_codebooks} are needed") as caught:
        load(saved, num_codebooks)
    assert_one_sentence(caught.value)


def test_unknown_tensors_are_named(damaged: Path) -> None:
    edit_weights(damaged, lambda weights: weights.update(extra=torch.zeros(2)))
    with pytest.warns(UserWarning, match="has tensor 'extra' that the model does not know"):
        load(damaged)


def test_importing_the_module_does_not_import_transformers() -> None:
    tree = ast.parse(Path(dia2.audio.codec.__file__).read_text(encoding="utf-8"))
    top = {ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))}
    assert "import torch" in top
    assert not any("transformers" in line or "huggingface_hub" in line for line in top)


# --- the fingerprint


def test_a_fingerprint_names_the_meaning_of_codes(saved: Path) -> None:
    fingerprint = SIX.fingerprint()
    assert len(bytes.fromhex(fingerprint)) == 32
    assert fingerprint == SIX.fingerprint() == load(saved).fingerprint() == load(saved, 4).fingerprint()
    others = [codec(seed=1), codec(sampling_rate=16_000), codec(upsampling_ratios=[4, 2, 2])]
    assert len({fingerprint, *(other.fingerprint() for other in others)}) == 4


def test_fingerprints_stay_as_they_are_written_in_voice_files_and_traces() -> None:
    for folder, digest in {
        nano_folder() / "mimi": "d6ec3680587c95126fa50d6b142fc6a7cc73dbeb01df16442f0008d157095624",
        CONFORMANCE / "tiny3" / "mimi": "7bbd284450d2f5cfa099c6a2ba9e64fad8ed5f570e632c8fc75cf50ec1d8e651",
        CONFORMANCE / "tiny4" / "mimi": "f3731c2d4d950bba134dc9f73f4ed4aec478c1f5f76310a085c25a28af26ea3a",
        CONFORMANCE / "tiny8" / "mimi": "4ce41205409682ed75fc189a80f8acf065cae0b66604e6d7635be2cf11451ef6",
    }.items():
        assert load(folder, 3).fingerprint() == digest


def test_a_fingerprint_sees_every_codebook_and_not_the_decoder() -> None:
    changed = codec()
    with torch.no_grad():
        changed._model.upsample.conv.weight.add_(1)
    assert changed.fingerprint() == SIX.fingerprint()
    changed._model.quantizer.acoustic_residual_vector_quantizer.codebooks[-1].cluster_usage[-1] += 1e-6
    assert changed.fingerprint() != SIX.fingerprint()


def test_a_fingerprint_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    some = codec()
    fingerprint = some.fingerprint()
    with monkeypatch.context() as patch:
        patch.setattr("dia2.audio.codec.hashlib", None)
        assert some.fingerprint() == fingerprint
