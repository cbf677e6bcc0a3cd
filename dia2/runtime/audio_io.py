"""Reading prefix audio: any format libsndfile knows, any rate, any channels, made mono and resampled."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.common.checks import is_file, short
from dia2.common.errors import UsageError
from dia2.common.hooks import phase
from dia2.runtime.flat_tops import CELL
from dia2.runtime.mixing import mixed
from dia2.runtime.mpeg import decoding, is_mpeg
from dia2.runtime.sound_source import Source, step_of
from dia2.runtime.wav_header import mended

logger = logging.getLogger("dia2")

PREFIX = "Prefix audio"  # what errors call a file, if they are not told otherwise
MAX_PREFIX_SECONDS = 120.0  # as much as a published checkpoint speaks at a time
_QUIET = 0.01  # peak; −40 dB
_LOUDEST = 1e6  # peak; float files may pass ±1, but not by this much
_LARGEST_RATE = 384_000  # Hz
_MISSING = 0.1  # seconds; less may lack without a word


@dataclass(frozen=True)
class Sound:
    """A recording as the runtime has it."""

    samples: Tensor  # [N] float32
    clipped: Tensor  # [n] float32, seconds at which it stands at a flat top, to the hundredth
    rate: int  # of the samples, in Hz
    notes: tuple[str, ...] = ()  # what is not right with it, each beginning with what errors call it and its name


def require_audio(path: str | Path, what: str = PREFIX) -> None:
    """Raise UsageError if there is no such file."""
    if not is_file(path):
        raise UsageError(f"There is no {what[0].lower()}{what[1:]} {path}: give a sound file (WAV, FLAC, OGG, MP3 …).")


def load_audio(path: str | Path, sample_rate: int, what: str = PREFIX) -> Tensor:
    """The samples of `read_sound`, [N] float32; raises as it does."""
    return read_sound(path, sample_rate, what).samples


def read_sound(path: str | Path, sample_rate: int, what: str = PREFIX) -> Sound:
    """Read a sound file as mono at `sample_rate` Hz.

    Channels are averaged, or, where they cancel each other, the loudest is taken; other rates pass soxr's band-limited
    resampler. A log line at WARNING tells of channels that cancel, of a file cut short, and of a quiet recording.
    `what` is what errors call the file.

    Raises:
        UsageError: the file is missing, not audio, empty, longer than two minutes, silent, or holds NaN.
    """
    sound = judge_sound(path, sample_rate, what)
    for note in sound.notes:
        logger.warning("%s", note)
    return sound


def judge_sound(
    path: str | Path, sample_rate: int | None, what: str = PREFIX, longest: float = MAX_PREFIX_SECONDS
) -> Sound:
    """As `read_sound`, but what that logs stands in the result.

    Args:
        path: of the file.
        sample_rate: in Hz; `None`: the file's own.
        what: errors call the file.
        longest: seconds.

    Raises:
        UsageError: as `read_sound`.
    """
    path = Path(path)
    require_audio(path, what)
    try:
        mix, source = mixed(partial(_opened, path, sample_rate or 24_000, what), longest)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:  # TypeError: a headerless format
        raise UsageError(f"{what} {path} cannot be read as sound ({_reason(error)}): convert it to WAV.") from error
    samples = mix.samples
    if len(samples) > int(longest * source.rate):
        how = "cut it; about 10 are enough" if what == PREFIX else "cut it into parts"
        raise UsageError(f"{what} {path} is longer than {longest:g} seconds: {how}.")
    rate = sample_rate or source.rate
    resampled = resample(_check_samples(samples, path, what), source.rate, rate)
    if not len(resampled):
        raise _empty(path, what)
    name = f"{what} {short(path.name)}"
    notes: list[str] = []
    if source.promised is not None and source.promised - len(samples) > _MISSING * source.rate:
        found, whole = len(samples) / source.rate, source.promised / source.rate
        notes.append(f"{name} is cut short or damaged: {found:.2f} of its {whole:.2f} s can be read")
    if mix.channel is not None:
        notes.append(f"{name} has channels that cancel each other: channel {mix.channel + 1} alone is used")
    peak = float(np.abs(samples).max())
    if peak < _QUIET:
        below = -20 * math.log10(peak)
        notes.append(f"{name} is quiet (peak −{below:.0f} dB of full scale): record it louder, or amplify it")
    return Sound(resampled, torch.from_numpy((mix.clipped * CELL).astype(np.float32)), rate, tuple(notes))


@contextmanager
def _opened(path: Path, sample_rate: int, what: str) -> Iterator[Source]:
    """The file at its beginning, by whatever decodes it, with a header that fits."""
    with ExitStack() as stack:
        if is_mpeg(path) and sys.executable and not getattr(sys, "frozen", False):  # there is an interpreter to start
            source = stack.enter_context(decoding(path, MAX_PREFIX_SECONDS))
        else:
            view = mended(path)
            sound = stack.enter_context(soundfile.SoundFile(path if view is None else stack.enter_context(view)))
            read = partial(sound.read, dtype="float32", always_2d=True)
            source = Source(int(sound.samplerate), sound.channels, read, step_of(sound.subtype))
        if not 0 < source.rate <= _LARGEST_RATE:
            raise UsageError(f"{what} {path} claims {source.rate} samples a second: convert it to {sample_rate:,}.")
        yield source


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
        raise UsageError(f"{what} {path} holds samples that are not numbers: export it again.")
    if not peak:
        raise UsageError(f"{what} {path} is silent: check the recording.")
    return torch.from_numpy(np.ascontiguousarray(samples))


def _empty(path: Path, what: str) -> UsageError:
    how = "record about 10 seconds of speech" if what == PREFIX else "record it again, or remove it"
    return UsageError(f"{what} {path} is empty: {how}.")


def _reason(error: Exception) -> str:
    """Libsndfile's own words, without the path that it repeats."""
    return str(getattr(error, "error_string", None) or error).rstrip(".")
