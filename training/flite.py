"""flite by its C library: what its two statistical voices would say, as parameters rather than as sound.

The libraries are Debian's (`apt install flite`). They are asked for what their own vocoder would be given, so nothing
has to be analysed: phones with their times, and every 5 ms the pitch, a mel-cepstrum and each band's share of voice.
The same text gives the same numbers, whatever was said before.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, c_char_p, c_float, c_int, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from dia2.common.errors import Dia2Error


class UnreadError(Dia2Error):
    """flite does not read a text word by word."""


Floats = np.ndarray[Any, np.dtype[np.float32]]

HOP = 0.005  # seconds between parameters
RATE = 16_000  # Hz, of the sound that the cepstra describe
WARP = 0.42  # of their frequency axis: near mel at RATE
BAND_EDGES = (1_000.0, 2_000.0, 4_000.0, 6_000.0)  # Hz, between the bands of `Reading.voicing`
PAUSE = "pau"  # the phone of silence

_COEFFICIENTS, _BANDS = 25, 5
_INSTALL = "install Debian's package flite (apt install flite)"


@dataclass(frozen=True)
class Phone:
    """One phone, or a pause."""

    name: str  # of CMU's dictionary, such as "ax"; PAUSE
    start: float  # seconds
    end: float
    word: int  # of the text, split at white space; of a pause, of the word before it, or -1


@dataclass(frozen=True)
class Reading:
    """How a voice reads one text; N hops of 5 ms."""

    phones: tuple[Phone, ...]
    pitch: Floats  # [N] Hz, 0 where there is no voice
    cepstra: Floats  # [N, 25] mel-cepstra of the log magnitude, for a sound of 16 bits
    voicing: Floats  # [N, 5] 0 … 1, how much of the excitation is pulses, by band


class _Track(ctypes.Structure):
    _fields_ = (
        ("type", c_char_p),
        ("num_frames", c_int),
        ("num_channels", c_int),
        ("times", POINTER(c_float)),
        ("frames", POINTER(c_void_p)),
    )


class _Utterance(ctypes.Structure):
    _fields_ = (("features", c_void_p), ("functions", c_void_p), ("relations", c_void_p), ("context", c_void_p))


class _Relation(ctypes.Structure):
    _fields_ = (
        ("name", c_char_p),
        ("features", c_void_p),
        ("utterance", c_void_p),
        ("head", c_void_p),
        ("tail", c_void_p),
    )


_FUNCTIONS: dict[str, tuple[Any, ...]] = {  # name: (result, *arguments)
    "flite_init": (c_int,),
    "flite_synth_text": (POINTER(_Utterance), c_char_p, c_void_p),
    "delete_utterance": (None, POINTER(_Utterance)),
    "utt_relation": (POINTER(_Relation), POINTER(_Utterance), c_char_p),
    "item_next": (c_void_p, c_void_p),
    "item_daughter": (c_void_p, c_void_p),
    "item_as": (c_void_p, c_void_p, c_char_p),
    "item_feat_float": (c_float, c_void_p, c_char_p),
    "item_feat_string": (c_char_p, c_void_p, c_char_p),
    "feat_present": (c_int, c_void_p, c_char_p),
    "feat_val": (c_void_p, c_void_p, c_char_p),
    "val_track": (POINTER(_Track), c_void_p),
    "val_cg_db": (c_void_p, c_void_p),
    "mlpg": (POINTER(_Track), POINTER(_Track), c_void_p),
    "delete_track": (None, POINTER(_Track)),
}


def _load(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise Dia2Error(f"flite cannot be loaded ({error}): {_INSTALL}.") from error


class _Library:
    """The loaded library, and the voices that were asked for."""

    def __init__(self) -> None:
        self.lib = _load("libflite.so.1")
        for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            _load(name)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.lib.flite_init()

    @functools.cache  # noqa: B019 — there is one library, and it lives as long as the process
    def voice(self, name: str) -> int:
        """The address of a voice."""
        register = getattr(_load(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
        register.restype, register.argtypes = c_void_p, [c_char_p]
        address: int = register(None)
        return address

    def track(self, pointer: Any, channels: int) -> Floats:
        """A track [N, channels] as an array of its own."""
        track = pointer.contents
        if track.num_channels < channels:
            raise Dia2Error(f"flite gave {track.num_channels} parameters, not {channels}: {_INSTALL}, version 2.2.")
        rows = [ctypes.string_at(track.frames[i], 4 * channels) for i in range(track.num_frames)]
        return np.frombuffer(b"".join(rows), np.float32).reshape(-1, channels)

    def items(self, item: int | None) -> list[int]:
        """An item and those that follow it."""
        found = []
        while item:
            found.append(item)
            item = self.lib.item_next(item)
        return found

    def daughters(self, item: int | None) -> list[int]:
        """The items below an item."""
        return self.items(self.lib.item_daughter(item)) if item else []


@functools.cache
def _library() -> _Library:
    return _Library()


def read(text: str, voice: str) -> Reading:
    """How a voice reads `text`.

    Args:
        text: one sentence, of ASCII letters, apostrophes, hyphens and .,?! with a space between words.
        voice: "rms" or "slt".

    Raises:
        Dia2Error: flite or the voice cannot be loaded.
        UnreadError: flite does not read the text word by word.
    """
    library = _library()
    lib = library.lib
    utterance = lib.flite_synth_text(text.encode("ascii", "replace"), library.voice(voice))
    if not utterance:
        raise Dia2Error(f"flite could not read {text[:60]!r}.")
    try:
        features = utterance.contents.features
        for name in (b"param_track", b"str_track", b"cg_db"):
            if not lib.feat_present(features, name):
                raise Dia2Error(f"flite's voice {voice} gives no {name.decode()}: {_INSTALL}, version 2.2.")
        # What the track holds are means and deviations; mlpg makes the smooth curves of them that are most likely.
        means = lib.val_track(lib.feat_val(features, b"param_track"))
        smooth = lib.mlpg(means, lib.val_cg_db(lib.feat_val(features, b"cg_db")))
        parameters = library.track(smooth, 1 + _COEFFICIENTS)
        lib.delete_track(smooth)
        voicing = library.track(lib.val_track(lib.feat_val(features, b"str_track")), _BANDS)
        return Reading(_phones(library, utterance, text), parameters[:, 0], parameters[:, 1:], np.clip(voicing, 0, 1))
    finally:
        lib.delete_utterance(utterance)


def _phones(library: _Library, utterance: Any, text: str) -> tuple[Phone, ...]:
    lib = library.lib
    texts = text.split()
    tokens = library.items(lib.utt_relation(utterance, b"Token").contents.head)
    if len(tokens) != len(texts):
        raise UnreadError(f"flite finds {len(tokens)} words in {text[:60]!r}, which has {len(texts)}.")
    word_of: list[int] = []  # the word of each phone that is no pause, in order
    for number, token in enumerate(tokens):
        of_token = [
            number
            for word in library.daughters(token)
            for syllable in library.daughters(lib.item_as(word, b"SylStructure"))
            for _ in library.daughters(syllable)
        ]
        if not of_token:
            raise UnreadError(f"flite says nothing for {texts[number][:60]!r}.")
        word_of += of_token
    phones: list[Phone] = []
    begin, following = 0.0, iter(word_of)
    word = -1
    for segment in library.items(lib.utt_relation(utterance, b"Segment").contents.head):
        name = lib.item_feat_string(segment, b"name").decode()
        end = round(lib.item_feat_float(segment, b"end"), 4)
        word = word if name == PAUSE else next(following)
        phones.append(Phone(name, begin, end, word))
        begin = end
    return tuple(phones)
