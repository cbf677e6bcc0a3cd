"""Sound as bytes of a format, piece by piece."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import soundfile

Samples = np.ndarray  # [n] float32 in −1 … 1

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
WHOLE = ("wav", "flac")  # whose headers tell the length: a file of them is sent when it is finished
_UNKNOWN = 0xFFFFFFFF  # the length of a WAV file that is not finished


class Encoder(Protocol):
    """Makes bytes of samples; joined, they are a file."""

    def feed(self, samples: Samples) -> bytes:
        """What is ready after these samples, maybe nothing."""

    def end(self) -> bytes:
        """What is left."""

    def close(self) -> None:
        """Nobody wants what is left."""


def encoder(name: str, rate: int) -> Encoder:
    """Of a format in `MEDIA_TYPES`, mono."""
    makers: dict[str, Callable[[], Encoder]] = {
        "pcm": Pcm,
        "wav": lambda: EndlessWav(rate),
        "flac": lambda: _Encoded(rate, "FLAC", "PCM_16"),
        # At a constant rate: else players take the length from a header that is written last, and a stream has none.
        "mp3": lambda: _Encoded(rate, "MP3", "MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=0.4),
        "opus": lambda: _Encoded(rate, "OGG", "OPUS"),
    }
    return makers[name]()


def whole(name: str, samples: Samples, rate: int) -> bytes:
    """A file of one of the formats in `WHOLE`, whose header knows its length."""
    if name == "wav":
        data = pcm16(samples)
        return _wav_header(rate, len(data)) + data
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm16(samples), "<i2"), rate, format=name.upper(), subtype="PCM_16")
    return file.getvalue()


def pcm16(samples: Samples) -> bytes:
    """16-bit little-endian samples, rounded to the nearest."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


class Pcm:
    """Samples of 16 bits, little-endian, without a header."""

    def feed(self, samples: Samples) -> bytes:
        """All of them."""
        return pcm16(samples)

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Nothing is held."""


class EndlessWav(Pcm):
    """The same after one header, which does not know how long it will be."""

    def __init__(self, rate: int) -> None:
        self._header = _wav_header(rate, None)

    def feed(self, samples: Samples) -> bytes:
        """All of them, once after the header."""
        header, self._header = self._header, b""
        return header + pcm16(samples)

    def end(self) -> bytes:
        """The header, if there was no sound."""
        return self._header


class _Encoded:
    """By libsndfile, which writes as it goes on. What it would put right at the beginning in the end is left out."""

    def __init__(self, rate: int, kind: str, subtype: str, **how: Any) -> None:
        self._file = io.BytesIO()
        self._taken = 0
        self._sound = soundfile.SoundFile(self._file, "w", rate, 1, subtype, format=kind, **how)

    def feed(self, samples: Samples) -> bytes:
        """What the encoder has finished."""
        self._sound.write(np.frombuffer(pcm16(samples), "<i2"))
        return self._ready()

    def end(self) -> bytes:
        """What it had not finished."""
        self._sound.close()
        return self._ready()

    def close(self) -> None:
        """Let libsndfile go, which still writes then: the collector may take the file away first."""
        self._sound.close()

    def _ready(self) -> bytes:
        with self._file.getbuffer() as view:
            found = bytes(view[self._taken :])
        self._taken += len(found)
        return found


def _wav_header(rate: int, size: int | None) -> bytes:
    """Of mono 16-bit samples, `size` bytes of them; `None`: nobody knows yet."""
    whole, data = (_UNKNOWN, _UNKNOWN) if size is None else (36 + size, size)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", data
    )
