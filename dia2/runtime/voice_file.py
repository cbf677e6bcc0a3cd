"""`.voice` files: a recording already encoded and transcribed, so that neither Mimi nor Whisper runs again.

A safetensors file: tensor `codes` [K, T], and as metadata the words with the times at which they sound, the speaker it
was made for, and hashes of the sound file and of the codec, since codes mean nothing to another codec.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.common.checks import TooLargeError, check_header, is_file, short
from dia2.common.errors import UsageError, one_line
from dia2.common.files import write_atomically
from dia2.common.rust import RustPanicError, calling_rust
from dia2.runtime.audio_io import MAX_PREFIX_SECONDS
from dia2.runtime.sounding import LAG
from dia2.runtime.words import Word, read_words

VOICE_SUFFIX = ".voice"
_FORMAT, _VERSION = "dia2-voice", "2"
_OLD = "1"  # whose words may be a run's own, late by `LAG` frames: see `_when_they_sound`
_LARGEST_FILE = 16 << 20  # bytes


@dataclass(frozen=True)
class Voice:
    """One speaker's part of a prefix."""

    codes: Tensor  # [K, T] int64
    words: list[Word]
    samples: Tensor | None = None  # [N] float32 that the codes were made of; none from a `.voice` file
    clipped: Tensor | None = None  # [n] seconds at which that recording is clipped; `None` without samples
    kept: tuple[str, ...] = ()  # which of "codes" and "words" an earlier run had worked out

    def seconds(self, frame_rate: float) -> float:
        """Length of the recording."""
        return float(self.codes.shape[1] / frame_rate)


def save_voice(path: str | Path, voice: Voice, *, codec: Codec, speaker: int, audio: str | Path) -> None:
    """Write `voice`, made from sound file `audio`, to `path`.

    Raises:
        Dia2Error: the file cannot be written.
    """
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "speaker": str(speaker),
        "words": json.dumps([asdict(word) for word in voice.words]),
        "codec_sha256": codec.fingerprint(),
        "audio_sha256": _sha256(Path(audio)),
    }
    write_atomically(path, save({"codes": voice.codes.cpu().to(torch.int32).contiguous()}, metadata))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_voice(path: str | Path) -> None:
    """Raise UsageError if there is no such file."""
    if not is_file(path):
        raise UsageError(f"There is no voice file {path}: make one with `dia2 voice recording.wav -o {path}`.")


def open_voice(path: str | Path) -> tuple[Mapping[str, str], Tensor]:
    """What a voice file says of itself, and its codes as they are stored; whether they fit a codec is another question.

    Raises:
        UsageError: the file is missing, damaged, or of a newer version.
    """
    path = Path(path)
    require_voice(path)
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"Voice file {path} is larger than 16 MB: make it again with `dia2 voice`.")
        check_header(path)
        with calling_rust(), safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            codes = file.get_tensor("codes").clone() if "codes" in file.keys() else None  # noqa: SIM118
    except (SafetensorError, RustPanicError, TooLargeError, OSError) as error:
        raise UsageError(
            f"Voice file {path} is damaged ({one_line(error)}): make it again with `dia2 voice`."
        ) from error
    if metadata.get("format") != _FORMAT or codes is None:
        raise UsageError(f"{path} is not a voice file: make one with `dia2 voice`.")
    version = metadata.get("version")
    if version not in (_OLD, _VERSION):
        raise UsageError(
            f"Voice file {path} has format version {short(version)}; this one reads {_OLD} and {_VERSION}."
        )
    return metadata, codes


def load_voice(path: str | Path, codec: Codec) -> Voice:
    """Read a voice file and check that it fits `codec`.

    Raises:
        UsageError: as `open_voice`, or it was made with another codec.
    """
    metadata, codes = open_voice(path)
    if metadata.get("codec_sha256") != codec.fingerprint():
        raise UsageError(f"Voice file {path} was made with another codec: make it again with this checkpoint's.")
    frames = codes.shape[1] if codes.dim() == 2 else 0
    fits = codes.dim() == 2 and codes.shape[0] == codec.num_codebooks and codes.dtype == torch.int32
    if not fits or not 0 < frames <= MAX_PREFIX_SECONDS * codec.frame_rate:
        raise UsageError(
            f"Voice file {path} holds {codes.dtype} codes {short(list(codes.shape))}, not [{codec.num_codebooks}, T]."
        )
    if int(codes.min()) < 0 or int(codes.max()) >= codec.codebook_size:
        raise UsageError(f"Voice file {path} holds codes outside 0 to {codec.codebook_size - 1}: make it again.")
    try:
        rows = json.loads(metadata.get("words", ""))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"Voice file {path} is damaged (its words are not JSON): make it again.") from error
    if not isinstance(rows, list):
        raise UsageError(f"Voice file {path} is damaged (its words are not a list): make it again.")
    words = read_words(rows, frames / codec.frame_rate, f"Voice file {path}")
    return Voice(codes.long(), _when_they_sound(words, codec.frame_rate) if metadata["version"] == _OLD else words)


def _when_they_sound(words: list[Word], frame_rate: float) -> list[Word]:
    """Words of a file of version 1, with the times at which they sound.

    Such a file holds what Whisper or another aligner heard, which is right, or the words of a run as `--words` wrote
    them then, `LAG` frames late. All words of a run begin with a frame; of Whisper's, in steps of 0.02 s, one in four.
    """
    if any(abs(word.start * frame_rate - round(word.start * frame_rate)) > 1e-6 for word in words):
        return words
    late = LAG / frame_rate
    return [Word(word.text, max(0.0, word.start - late), max(0.0, word.end - late)) for word in words]
