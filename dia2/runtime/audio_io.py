"""Reading prefix audio: any format libsndfile knows, any rate, any channels, made mono and resampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.checks import is_file
from dia2.errors import UsageError
from dia2.hooks import phase

MAX_PREFIX_SECONDS = 120.0  # as much as a published checkpoint speaks at a time
_SILENCE = 1e-4  # peak; −80 dB
_LOUDEST = 1e6  # peak; float files may pass ±1, but not by this much
_LARGEST_RATE = 384_000  # Hz
_BLOCK = 1 << 16  # frames read at a time, so that a file of many channels is never whole in memory


def require_audio(path: str | Path, what: str = "Prefix audio") -> None:
    """Raise UsageError if there is no such file."""
    if not is_file(path):
        raise UsageError(f"There is no {what[0].lower()}{what[1:]} {path}: give a sound file (WAV, FLAC, OGG, MP3 …).")


def load_audio(path: str | Path, sample_rate: int, what: str = "Prefix audio") -> Tensor:
    """Read a sound file as mono [N] float32 at `sample_rate` Hz.

    Channels are averaged; other rates pass soxr's band-limited resampler. `what` is what errors call the file.

    Raises:
        UsageError: the file is missing, not audio, empty, longer than two minutes, silent, or holds NaN.
    """
    path = Path(path)
    require_audio(path, what)
    try:
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            if not 0 < rate <= _LARGEST_RATE:
                raise UsageError(f"{what} {path} claims {rate} samples a second: convert it to {sample_rate:,}.")
            limit = int(MAX_PREFIX_SECONDS * rate)
            blocks = []
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                with np.errstate(invalid="ignore"):  # opposite infinities; refused below
                    blocks.append(block.mean(axis=1, dtype=np.float64).astype(np.float32))
                if len(blocks) * _BLOCK > limit + _BLOCK:
                    break
    except (soundfile.LibsndfileError, OSError, TypeError) as error:  # TypeError: a headerless format
        raise UsageError(f"{what} {path} cannot be read as sound ({_reason(error)}): convert it to WAV.") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(samples) > limit:
        raise UsageError(f"{what} {path} is longer than {MAX_PREFIX_SECONDS:g} seconds: cut it, some 10 are enough.")
    resampled = resample(_check_samples(samples, path, what), rate, sample_rate)
    if not len(resampled):
        raise _empty(path, what)
    return resampled


def resample(samples: Tensor, rate: int, target: int) -> Tensor:
    """Resample [N] float32 from `rate` to `target` Hz (soxr, high quality)."""
    if rate == target:
        return samples
    import soxr  # only prefix audio needs it

    return torch.from_numpy(soxr.resample(samples.numpy(), rate, target, quality="HQ"))


@phase("prefix.encode")
def encode_audio_tokens(codec: Codec, samples: Tensor) -> Tensor:
    """Mimi codes [K, T] int64 of mono `samples` [N] at the codec's rate; a partial last frame is zero-padded."""
    return codec.encode(samples)


def _check_samples(samples: np.ndarray, path: Path, what: str) -> Tensor:
    if not len(samples):
        raise _empty(path, what)
    peak = float(np.abs(samples).max())
    if not peak <= _LOUDEST:  # NaN is not either
        raise UsageError(f"{what} {path} holds samples that are no numbers: export it again.")
    if peak < _SILENCE:
        raise UsageError(f"{what} {path} is silent (peak {peak:.1e}): check the recording.")
    return torch.from_numpy(np.ascontiguousarray(samples))


def _empty(path: Path, what: str) -> UsageError:
    return UsageError(f"{what} {path} is empty: record some 10 seconds of speech.")


def _reason(error: Exception) -> str:
    """Libsndfile's own words, without the path that it repeats."""
    return str(getattr(error, "error_string", None) or error).rstrip(".")
