"""When each word of a transcript sounds: Whisper reads the transcript along with the sound.

Whisper hears first, freely: that tells how much of the transcript is there at all. Then it is made to say the
transcript's own words, and its attention tells where in the sound it reads each: so a word has its time also where
Whisper alone would have heard another. Whisper sees 30 s at a time; longer recordings are cut at pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.chance import own_chance
from dia2.runtime.heard import Heard, is_spaceless, join_pieces, repair_times, thin
from dia2.runtime.onset import levels_of
from dia2.runtime.quiet import quiet as unwarned
from dia2.runtime.words import WHISPER_RATE, Word, check_whisper, listen, load_whisper, whisper_device
from training.alignment import align

INSTEAD = "NAME.json beside the recording"  # by which it has word times without Whisper
MOST_WORDS = 6.0  # a second; nobody speaks faster
_WINDOW = 28.0  # seconds; Whisper has 30, and cuts are not exact
_HOPS = 100  # a second, of `levels_of`
_QUIET_HOPS = 20  # how long the quietest moment is
_SPARE = 8  # tokens of Whisper's context that are not the transcript's


@dataclass(frozen=True)
class Listener:
    """A Whisper, and the language that it is told."""

    whisper: str
    language: str | None  # Whisper's code; `None`: it finds out for each recording
    device: torch.device

    def hear(self, samples: Tensor, name: str) -> tuple[tuple[Word, ...], str]:
        """The words that it hears, and their language.

        Args:
            samples: [N] float32 at 16 kHz.
            name: of the recording.

        Raises:
            UsageError, Dia2Error: as `listen`.
        """
        found = listen(samples, self.whisper, self.device, name, language=self.language, instead=INSTEAD)
        return found.words, found.language

    def place(self, samples: Tensor, texts: Sequence[str], heard: Sequence[Word], language: str) -> list[list[Word]]:
        """The words of a transcript, where they sound.

        Args:
            samples: [N] float32 at 16 kHz.
            texts: the transcript's words, in order; not empty.
            heard: what `hear` gave; not empty.
            language: likewise.

        Returns:
            Of each text its word; of one in a script without spaces several, that Whisper takes for words.
        """
        model = load_whisper(self.whisper, whisper_device(self.device), INSTEAD)
        seconds = len(samples) / WHISPER_RATE
        pieces: list[list[Heard]] = []
        for window in _windows(align(texts, heard), seconds, _limit(model, texts, language)):
            first, last = round(window.begin * WHISPER_RATE), round(window.end * WHISPER_RATE)
            words = [word.text for word in window.words]
            for found in _read_along(model, samples[first:last], words, language):
                pieces.append([(text, start + window.begin, end + window.begin) for text, start, end in found])
        most = int(MOST_WORDS * seconds)
        pieces = [_together(found, most - len(texts) + 1) for found in pieces]
        flat = [piece for found in pieces for piece in found]
        repaired = iter(_onto_sound(flat, samples))
        return [[next(repaired) for _ in found] for found in pieces]


def _onto_sound(words: Sequence[Heard], samples: Tensor) -> list[Word]:
    """The words with repaired times. Whisper has the first begin with the recording, wherever its sound begins.

    Where sound begins is told by the noise before it, of which a recording may have too little: its quietest moment
    is repeated for a second before it.
    """
    levels = levels_of(samples, WHISPER_RATE)
    window = min(_QUIET_HOPS, len(levels))
    quietest = int(levels.unfold(0, window, 1).mean(dim=1).argmin()) * WHISPER_RATE // _HOPS
    quiet = samples[quietest : quietest + window * WHISPER_RATE // _HOPS]
    led_in = torch.cat([quiet.repeat(WHISPER_RATE // len(quiet) + 1)[:WHISPER_RATE], samples])
    moved = [(text, start + 1, end + 1) for text, start, end in repair_times(words, samples, WHISPER_RATE)[0]]
    repaired, _ = repair_times(moved, led_in, WHISPER_RATE)
    return [Word(text, max(0.0, round(start - 1, 6)), round(end - 1, 6)) for text, start, end in repaired]


def _together(pieces: list[Heard], most: int) -> list[Heard]:
    """No more pieces of one text than can be said; those of a script without spaces are joined, others are one."""
    return thin(pieces, max(1, most)) if len(pieces) > 1 else pieces


@dataclass(frozen=True)
class _Window:
    """A part of a recording that Whisper can see at once."""

    begin: float  # seconds
    end: float
    words: Sequence[Word]  # about where they are


def _windows(words: Sequence[Word], seconds: float, most: int) -> list[_Window]:
    """The whole recording, or parts of it, cut at the longest pause near the middle."""
    return _halved(_Window(0.0, seconds, words), most)


def _halved(window: _Window, most: int) -> list[_Window]:
    words = window.words
    if len(words) < 2 or (window.end - window.begin <= _WINDOW and sum(len(w.text) + 1 for w in words) <= most):
        return [window]
    middle = (window.begin + window.end) / 2
    gaps = [  # how much a cut before word i is worth
        (words[i].start - words[i - 1].end - 0.02 * abs(words[i].start - middle), i) for i in range(1, len(words))
    ]
    _, at = max(gaps)
    cut = (words[at - 1].end + words[at].start) / 2
    if not window.begin < cut < window.end:  # words whose times are not known
        return [window]
    parts = _Window(window.begin, cut, words[:at]), _Window(cut, window.end, words[at:])
    return [inner for part in parts for inner in _halved(part, most)]


def _limit(model: Any, texts: Sequence[str], language: str) -> int:
    """How many characters of a transcript fit into Whisper's context, by what its tokens take on average."""
    tokens = len(_tokenizer(model, language).encode(" " + " ".join(texts)))
    room = model.dims.n_text_ctx - _SPARE
    return int(0.8 * room * sum(len(text) + 1 for text in texts) / max(tokens, 1))


def _tokenizer(model: Any, language: str) -> Any:
    from whisper.tokenizer import get_tokenizer

    many = model.is_multilingual
    return get_tokenizer(
        many, num_languages=model.num_languages, language=language if many else None, task="transcribe"
    )


def _read_along(model: Any, samples: Tensor, texts: Sequence[str], language: str) -> list[list[Heard]]:
    """Of each text the pieces in which Whisper reads it, with seconds; one, where its script has spaces."""
    from whisper.audio import HOP_LENGTH, N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
    from whisper.timing import find_alignment

    tokenizer = copy(_tokenizer(model, language))  # whisper shares it
    tokenizer.split_to_word_tokens = tokenizer.split_tokens_on_unicode  # by spaces, some scripts would have no pieces
    told = " " + " ".join(texts)
    tokens = tokenizer.encode(told)[: model.dims.n_text_ctx - _SPARE]
    mel = log_mel_spectrogram(samples, model.dims.n_mels, padding=N_SAMPLES).to(model.device)
    frames = min(len(samples) // HOP_LENGTH, N_FRAMES)
    with own_chance(), unwarned():
        timings = find_alignment(model, tokenizer, tokens, pad_or_trim(mel, N_FRAMES), frames)
    pieces: list[tuple[int, Heard]] = []  # the place in `told` at which each begins
    at = 0
    for timing in timings:
        pieces.append((at, (timing.word, float(timing.start), float(timing.end))))
        at += len(timing.word)
    found: list[list[Heard]] = []
    at, seconds = 0, len(samples) / WHISPER_RATE
    for text in texts:
        begin, at = at + 1, at + 1 + len(text)
        inside = [piece for place, piece in pieces if place < at and place + len(piece[0]) > begin]
        found.append(_words_of(text, inside) or [(text, seconds, seconds)])
    return found


def _words_of(text: str, pieces: Sequence[Heard]) -> list[Heard]:
    """A text of the transcript out of the pieces that it was read in."""
    if not pieces:
        return []
    if any(map(is_spaceless, text)):
        rows = [
            {"word": piece.strip() if i else piece, "start": start, "end": end}
            for i, (piece, start, end) in enumerate(pieces)
        ]
        words = join_pieces([{"words": rows}])
        if "".join(word for word, *_ in words) == text:  # else a piece goes over the edge of the text
            return words
    return [(text, pieces[0][1], pieces[-1][2])]


def language_code(name: str, whisper: str) -> str:
    """Whisper's code of a language that a user names, by code or in English.

    Args:
        name: `ru`, `Russian` …
        whisper: the checkpoint that is to know it.

    Raises:
        UsageError: Whisper does not know it, or this checkpoint, only English; or it is not installed.
    """
    check_whisper(whisper, INSTEAD)
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    asked = name.strip().lower()
    code = asked if asked in LANGUAGES else TO_LANGUAGE_CODE.get(asked)
    if code is None:
        raise UsageError(f"Whisper knows no language {name[:40]!r}: give a code such as ru, or its English name.")
    if code != "en" and whisper.removesuffix(".pt").endswith(".en"):
        raise UsageError(f"Whisper {whisper} knows English alone: give --whisper base, small or turbo.")
    return code
