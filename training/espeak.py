"""espeak-ng by its C library: speech with the times of its words and phonemes.

The library is the one that the Python package `espeakng-loader` brings: no root needed, and one version for everybody.
It keeps global state, so one thread may use it, and what was said before shows in the last digits of what is said next.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from dia2.common.errors import Dia2Error

SAMPLE_RATE = 24_000  # Hz, of what `speak` gives
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 0x0001, 1
_END, _WORD, _PHONEME = 0, 1, 7  # espeak_EVENT_TYPE


@dataclass(frozen=True)
class Voice:
    """How a speaker of the corpus sounds."""

    name: str  # espeak-ng's, with its variant
    pitch: int  # 0 … 99
    intonation: int  # 0 … 99, how far pitch moves
    words_per_minute: int


@dataclass(frozen=True)
class Speech:
    """One utterance."""

    samples: np.ndarray[Any, np.dtype[np.float32]]  # [N] at SAMPLE_RATE
    words: tuple[tuple[int, int], ...]  # (character at which it stands in the text, sample at which it begins)
    phonemes: tuple[tuple[str, int], ...]  # (name, sample at which it begins)


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Library:
    """The loaded library, and what its callback collects."""

    def __init__(self) -> None:
        try:
            import espeakng_loader

            data: str = espeakng_loader.get_data_path()
            self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        except (ImportError, OSError) as error:
            raise Dia2Error(
                f"espeak-ng cannot be loaded ({error}): pip install 'dia2-inspect[training]' brings it."
            ) from error
        self.rate: int = self.lib.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _PHONEME_EVENTS)
        if self.rate <= 0:
            raise Dia2Error(f"espeak-ng finds no voices in {data}: reinstall espeakng-loader.")
        self.lib.espeak_ng_SetRandSeed(ctypes.c_long(1))  # of breath and roughness; by itself it takes the time of day
        self.pieces: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self.events: list[tuple[int, int, str, int]] = []
        self._callback: Callable[..., int] = _Callback(self._collect)  # kept: the library holds only its address
        self.lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _END:
            event = events[i]
            if event.type in (_WORD, _PHONEME):
                name = event.id.string.decode("utf-8", "replace") if event.type == _PHONEME else ""
                self.events.append((event.type, event.text_position - 1, name, event.sample))
            i += 1
        return 0

    def say(self, text: str, voice: Voice) -> None:
        self.pieces.clear()
        self.events.clear()
        if self.lib.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise Dia2Error(f"espeak-ng has no voice {voice.name!r}: `espeak-ng --voices` lists them.")
        for parameter, value in ((RATE, voice.words_per_minute), (PITCH, voice.pitch), (RANGE, voice.intonation)):
            self.lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        if self.lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None) != 0:
            raise Dia2Error(f"espeak-ng could not speak {text[:60]!r}.")
        self.lib.espeak_Synchronize()


@functools.cache
def _library() -> _Library:
    return _Library()


def speak(text: str, voice: Voice) -> Speech:
    """Say `text`; word times are of the words as espeak-ng finds them.

    Raises:
        Dia2Error: the library, the voice or the text cannot be used.
    """
    library = _library()
    library.say(text, voice)
    if not library.pieces:
        raise Dia2Error(f"espeak-ng said nothing for {text[:60]!r}.")
    samples = np.concatenate(library.pieces).astype(np.float32) / 32768
    scale = SAMPLE_RATE / library.rate
    return Speech(
        samples=soxr.resample(samples, library.rate, SAMPLE_RATE),
        words=tuple((at, round(sample * scale)) for kind, at, _, sample in library.events if kind == _WORD),
        phonemes=tuple((name, round(sample * scale)) for kind, _, name, sample in library.events if kind == _PHONEME),
    )
