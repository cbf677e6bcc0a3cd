"""Prefix audio of any kind becomes mono at the codec's rate, and what cannot be used is refused by name."""

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.common.errors import UsageError
from dia2.common.messages import sentence
from dia2.runtime.assets import nano_folder
from dia2.runtime.audio_io import MAX_PREFIX_SECONDS, encode_audio_tokens, load_audio, read_sound, resample

from ..support.reference import ROOT

MIMI = ROOT / "tiny8" / "mimi"
RATE = 24_000
Samples = npt.NDArray[np.float32]


def sine(hertz: float, rate: int, seconds: float = 0.5, level: float = 0.5) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * math.pi * hertz * time)).astype(np.float32)


def level_at(samples: Tensor, hertz: float, rate: int = RATE) -> float:
    """Amplitude of a sine of `hertz`, the samples' edges faded out."""
    window = torch.hann_window(len(samples), periodic=False)
    turn = torch.exp(-2j * math.pi * hertz / rate * torch.arange(len(samples)))
    return float((samples * window * turn).sum().abs() * 2 / window.sum())


def pitch(samples: Tensor, rate: int = RATE) -> float:
    """Frequency of the strongest partial, in Hz."""
    spectrum = torch.fft.rfft(samples * torch.hann_window(len(samples)), n=8 * len(samples)).abs()
    return float(spectrum.argmax()) * rate / (8 * len(samples))


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 2**-7), ("a.wav", "PCM_16", 2**-15), ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-23), ("a.wav", "FLOAT", 0.0), ("a.wav", "DOUBLE", 0.0),
        ("a.flac", "PCM_24", 2**-23), ("a.aiff", "PCM_16", 2**-15),
    ],
)  # fmt: skip
def test_every_sample_format_is_read_as_floats_up_to_1(
    tmp_path: Path, name: str, subtype: str, tolerance: float
) -> None:
    samples = sine(440, RATE, level=0.9)
    soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    loaded = load_audio(tmp_path / name, RATE)
    assert (loaded.shape, loaded.dtype) == ((12_000,), torch.float32)
    assert (loaded - torch.from_numpy(samples)).abs().max() <= tolerance


@pytest.mark.parametrize(("name", "rate"), [("a.flac", 44_100), ("a.wav", 8000), ("a.wav", 48_000), ("a.ogg", 22_050)])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_channels_keep_pitch_and_level(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / name, np.stack([sine(1000, rate)] * channels, axis=1), rate)
    loaded = load_audio(str(tmp_path / name), RATE)
    assert (loaded.ndim, loaded.dtype) == (1, torch.float32)
    assert abs(len(loaded) - RATE // 2) <= 1
    assert pitch(loaded) == pytest.approx(1000, abs=1)
    assert level_at(loaded, 1000) == pytest.approx(0.5, rel=0.02)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, middle = sine(440, RATE), sine(1000, RATE)
    silent = np.zeros_like(left)
    soundfile.write(tmp_path / "a.wav", np.stack([left, middle, silent, silent], axis=1), RATE, subtype="FLOAT")
    assert torch.allclose(load_audio(tmp_path / "a.wav", RATE), torch.from_numpy((left + middle) / 4), atol=1e-7)


def test_a_recording_of_many_blocks_is_read_whole_and_in_order(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 200_001, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert torch.equal(load_audio(tmp_path / "a.wav", RATE), torch.from_numpy(samples))


def test_the_same_rate_leaves_the_samples_alone() -> None:
    samples = torch.randn(100)
    assert resample(samples, RATE, RATE) is samples


@pytest.mark.parametrize(("rate", "target"), [(48_000, 24_000), (44_100, 24_000), (24_000, 16_000)])
def test_a_tone_above_the_new_nyquist_frequency_disappears(rate: int, target: int) -> None:
    too_high = 0.6 * target
    mixed = torch.from_numpy(sine(1000, rate) + sine(too_high, rate))
    result = resample(mixed, rate, target)
    assert level_at(mixed, too_high, rate) == pytest.approx(0.5, rel=0.01)
    assert level_at(result, target - too_high, target) < 5e-5  # −80 dB where it would be mirrored to
    assert level_at(result, 1000, target) == pytest.approx(0.5, rel=0.01)


def test_raising_the_rate_adds_no_mirrored_tone() -> None:
    result = resample(torch.from_numpy(sine(1000, 8000)), 8000, RATE)
    assert max(level_at(result, mirrored) for mirrored in (7000, 9000)) < 5e-5
    assert level_at(result, 1000) == pytest.approx(0.5, rel=0.01)


def test_codes_of_samples_fill_the_last_frame_with_zeros() -> None:
    codec = Codec.load(str(MIMI), num_codebooks=8, device=torch.device("cpu"))
    samples = torch.from_numpy(sine(300, RATE, seconds=0.1))
    codes = encode_audio_tokens(codec, samples)
    assert (codes.shape, codes.dtype) == ((8, 2), torch.int64)
    assert torch.equal(codes, encode_audio_tokens(codec, torch.cat((samples, torch.zeros(2 * 1920 - 2400)))))


def two_words() -> Samples:
    """1.6 s at 24 kHz: a buzz of eleven partials where two words would be, with edges of 20 ms."""
    time = np.arange(int(1.6 * RATE)) / RATE
    buzz = np.sum([np.sin(2 * math.pi * 130 * k * time + k * k) / k for k in range(1, 12)], axis=0)
    edges = [np.minimum(time - start, end - time) / 0.02 for start, end in ((0.24, 0.56), (0.8, 1.2))]
    buzz *= np.clip(edges, 0, 1).sum(axis=0)
    scaled: Samples = (0.3 * buzz / np.abs(buzz).max()).astype(np.float32)
    return scaled


@pytest.mark.parametrize(("length", "codes"), json.loads((ROOT / "partial_frame.json").read_text()).items())
def test_the_last_frame_of_a_recording_has_the_codes_it_should_have(
    tmp_path: Path, length: str, codes: list[int]
) -> None:
    soundfile.write(tmp_path / "a.wav", two_words()[: int(length)], RATE)
    codec = Codec.load(str(nano_folder() / "mimi"), num_codebooks=8, device=torch.device("cpu"))
    found = encode_audio_tokens(codec, load_audio(tmp_path / "a.wav", RATE))
    assert found.shape == (8, math.ceil(int(length) / 1920))
    assert found[:, -1].tolist() == codes


def refused(path: Path) -> str:
    """The message of the refusal, without the path in it."""
    with pytest.raises(UsageError) as error:
        load_audio(path, RATE)
    message = str(error.value)
    assert sentence(str(path)) in message
    assert "\n" not in message
    return message.replace(sentence(str(path)), "FILE")


@pytest.mark.parametrize("name", ["no.wav", "", "no/such/folder.wav"])
def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    message = "There is no prefix audio FILE: give a sound file (WAV, FLAC, OGG, MP3 …)."
    assert refused(tmp_path / name) == message


@pytest.mark.parametrize("name", ["a" * 300 + ".wav", "nul\0.wav"], ids=["too long", "NUL"])
def test_a_name_that_no_file_can_have_is_refused_like_a_missing_file(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path / name).startswith("There is no prefix audio FILE")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"[S1] Hello there.\n", bytes(range(256)) * 20, b"RIFF\x24\0\0\0WAVE"]
)
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a", "a.mp4"])
def test_what_is_no_sound_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert message.startswith("Prefix audio FILE cannot be read as sound (")
    assert message.endswith("): convert it to WAV.")


def test_a_headerless_file_is_refused_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    assert refused(tmp_path / "a.raw").startswith("Prefix audio FILE cannot be read as sound (")


def write_half(path: Path) -> None:
    """Write the first half of the bytes of two seconds."""
    soundfile.write(path, sine(440, RATE, seconds=2), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["a.flac", "a.ogg"])
def test_a_truncated_compressed_file_is_refused(tmp_path: Path, name: str) -> None:
    write_half(tmp_path / name)
    assert refused(tmp_path / name).startswith("Prefix audio FILE cannot be read as sound (")


def test_a_truncated_wav_file_gives_the_samples_that_are_left(tmp_path: Path) -> None:
    write_half(tmp_path / "a.wav")
    assert load_audio(tmp_path / "a.wav", RATE).tolist() == pytest.approx(sine(440, RATE, 2)[:23_989], abs=2**-15)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_without_samples_is_refused(tmp_path: Path, channels: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((0, channels), np.float32), RATE)
    assert refused(tmp_path / "a.wav") == "Prefix audio FILE is empty: record about 10 seconds of speech."


def test_a_sample_too_few_to_survive_resampling_is_refused_as_empty(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(1, 0.5, np.float32), 96_000)
    assert refused(tmp_path / "a.wav") == "Prefix audio FILE is empty: record about 10 seconds of speech."


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_digital_silence_is_refused(tmp_path: Path, channels: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((12_000, channels)), RATE, subtype=subtype)
    assert refused(tmp_path / "a.wav") == "Prefix audio FILE is silent: check the recording."


@pytest.mark.parametrize(("level", "told"), [(5e-5, "−86"), (2e-4, "−74"), (0.0099, "−40")])
def test_a_quiet_recording_is_called_quiet_with_its_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: float, told: str
) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, RATE, level=level), RATE, subtype="FLOAT")
    assert len(load_audio(tmp_path / "a.wav", RATE, "Audio prompt")) == 12_000
    quiet = f"Audio prompt 'a.wav' is quiet (peak {told} dB of full scale): record it louder, or amplify it"
    assert caplog.messages == [quiet]


def test_a_recording_of_usual_level_brings_no_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, RATE, level=0.0101), RATE, subtype="FLOAT")
    load_audio(tmp_path / "a.wav", RATE)
    assert caplog.messages == []


VOICE = (sine(220, RATE) * sine(3, RATE, level=1)).astype(np.float32)
OTHER = (sine(310, RATE) * sine(4, RATE, level=1)).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize(
    ("channels", "taken"),
    [
        ([VOICE, -VOICE], 0),
        ([-VOICE, VOICE], 0),  # the first of equals
        ([0.9 * VOICE, -VOICE], 1),  # the louder
        ([VOICE, -0.8 * VOICE], 0),
        ([VOICE, -np.roll(VOICE, 2)], 0),  # nearly opposite
        ([0 * VOICE, VOICE, -VOICE], 1),
        ([0.5 * VOICE, 0.5 * VOICE, -VOICE], 2),
        ([VOICE + 0.2, 0.2 - VOICE], 0),  # an offset is no sound
    ],
)
def test_of_channels_that_cancel_the_loudest_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, channels: list[Samples], taken: int, subtype: str
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), RATE, subtype=subtype)
    soundfile.write(tmp_path / "one.wav", channels[taken], RATE, subtype=subtype)
    assert torch.equal(load_audio(tmp_path / "a.wav", RATE), load_audio(tmp_path / "one.wav", RATE))
    told = f"Prefix audio 'a.wav' has channels that cancel each other: channel {taken + 1} alone is used"
    assert caplog.messages == [told]


@pytest.mark.parametrize(
    "channels",
    [
        [VOICE, VOICE],
        [VOICE, OTHER],
        [VOICE, 0 * VOICE],
        [VOICE, *[0 * VOICE] * 7],
        [VOICE + 0.5 * OTHER, VOICE - 0.5 * OTHER],
        [VOICE, -0.5 * VOICE],
    ],
)
def test_other_channels_are_averaged_without_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, channels: list[Samples]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), RATE, subtype="FLOAT")
    mean = np.mean(channels, axis=0, dtype=np.float64)
    assert np.allclose(load_audio(tmp_path / "a.wav", RATE).numpy(), mean, atol=1e-6)
    assert caplog.messages == []


def test_a_recording_of_many_blocks_whose_channels_cancel(tmp_path: Path) -> None:
    left = np.random.default_rng(0).uniform(-0.5, 0.5, 300_001).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    assert torch.equal(load_audio(tmp_path / "a.wav", RATE), torch.from_numpy(left))


NO_NUMBERS = "Prefix audio FILE holds samples that are not numbers: export it again."


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float, rate: int) -> None:
    samples = sine(440, rate)
    samples[100] = value
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    assert refused(tmp_path / "a.wav") == NO_NUMBERS


def test_infinities_that_meet_in_the_mix_are_refused_without_a_warning(tmp_path: Path) -> None:
    samples = np.stack([sine(440, RATE)] * 2, axis=1)
    samples[100] = np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert refused(tmp_path / "a.wav") == NO_NUMBERS


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_samples_too_large_for_arithmetic_never_become_nan(tmp_path: Path, rate: int) -> None:
    loud = np.where(sine(440, rate) > 0, 3e38, -3e38).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([loud, loud], axis=1), rate, subtype="FLOAT")
    try:
        loaded = load_audio(tmp_path / "a.wav", RATE)
    except UsageError:
        return
    assert loaded.isfinite().all()


TOO_LONG = "Prefix audio FILE is longer than 120 seconds: cut it; about 10 are enough."


@pytest.mark.parametrize("seconds", [120.002, 150, 600])
def test_more_than_two_minutes_are_refused(tmp_path: Path, seconds: float) -> None:
    soundfile.write(tmp_path / "a.wav", sine(100, 1000, seconds), 1000)
    assert refused(tmp_path / "a.wav") == TOO_LONG


def test_two_minutes_are_not_too_long(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(100, 1000, MAX_PREFIX_SECONDS), 1000)
    assert len(load_audio(tmp_path / "a.wav", 2000)) == 240_000


def test_a_rate_that_no_recording_has_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, RATE), 1_000_000)
    assert refused(tmp_path / "a.wav") == "Prefix audio FILE claims 1000000 samples a second: convert it to 24,000."


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "PCM_U8", "ULAW"])
@pytest.mark.parametrize("gain", [1.0, 0.6])
def test_a_clipped_recording_tells_when(tmp_path: Path, subtype: str, gain: float) -> None:
    """At another rate too: resampling rounds flat tops off, so they are looked for before it."""
    samples = np.where(np.arange(44_100) < 22_050, 0.4, 2.0) * sine(220, 44_100, seconds=1, level=1.0)
    soundfile.write(tmp_path / "a.wav", gain * samples.clip(-1, 1), 44_100, subtype=subtype)
    found = read_sound(tmp_path / "a.wav", RATE).clipped
    assert found.dtype == torch.float32
    assert len(found) >= 45
    assert 0.49 <= found.min() <= 0.51
    assert 0.97 <= found.max() <= 0.99


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_U8", "ULAW"])
@pytest.mark.parametrize("hertz", [20, 110, 440, 3000])
@pytest.mark.parametrize("level", [1.0, 0.1])
def test_a_recording_normalised_to_full_scale_is_not_clipped(
    tmp_path: Path, subtype: str, hertz: float, level: float
) -> None:
    soundfile.write(tmp_path / "a.wav", sine(hertz, RATE, 2.0, level), RATE, subtype=subtype)
    assert not len(read_sound(tmp_path / "a.wav", RATE).clipped)


def test_clipping_of_one_channel_counts(tmp_path: Path) -> None:
    channels = [sine(220, RATE, level=0.5), sine(220, RATE, level=2.0).clip(-1, 1)]
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), RATE)
    assert len(read_sound(tmp_path / "a.wav", RATE).clipped) > 40
    cancelled = [sine(220, RATE, level=0.9), -sine(220, RATE, level=0.95).clip(-0.7, 0.7)]
    soundfile.write(tmp_path / "a.wav", np.stack(cancelled, axis=1), RATE)
    assert not len(read_sound(tmp_path / "a.wav", RATE).clipped)  # only of the one that is used
