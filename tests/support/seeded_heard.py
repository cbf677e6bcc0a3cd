"""Runs that real Whisper (tiny.en) listens to: clones whose words are its own, and words that come out otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
import torch

from dia2.adapter.trace import Dia2Trace
from dia2.runtime.audio_io import resample
from dia2.runtime.words import WHISPER_RATE, transcribe_words

from .seeded_clones import (
    RATE,
    Change,
    clean_clone,
    clone,
    first_call,
    first_flat_top,
    first_word,
    noisy,
    said_at,
    scaled,
    shifted,
    shifted_midway,
    short,
    silenced,
    spoken,
    taken,
    voice,
    without_first_half,
    without_last_third,
    words_beyond,
)
from .seeded_runs import Make, Seeded, made
from .speech import Recording, talk
from .whisper_weights import checkpoint

SEA = "[S1] Last summer we went to the sea. The water was warm, and the food was good. Good bye."
PARK = "[S1] My brother has a new job. We went to the park with the children. See you on Monday."


def whisper() -> str | None:
    """Where its weights are; `None`: not here."""
    path = checkpoint("tiny.en")
    return None if path is None else str(path)


def _hear(of: Recording) -> Recording:
    """With the words that Whisper hears."""
    model = whisper()
    assert model is not None, "else there are no such runs"
    samples = resample(torch.from_numpy(of.samples), of.rate, WHISPER_RATE)
    return replace(of, words=tuple(transcribe_words(samples, model, torch.device("cpu"))))


@cache
def heard(number: int) -> Recording:
    """A clean recording with the words that Whisper hears."""
    return _hear(spoken(number))


def _clone(number: int, change: Change, folder: Path) -> Path:
    """Its words changed after they were heard, as a user's list may be."""
    return clone(folder, change(heard(number)))


def _clone_heard(number: int, change: Change, folder: Path) -> Path:
    """The sound changed, and heard when the run begins, as `prefix_speaker_1` alone does."""
    return clone(folder, change(spoken(number)), whisper=whisper())


def _middle_word(number: int, seconds: float, trace: Dia2Trace) -> int:
    """The first word that was moved."""
    words = heard(number).words
    moved = len(words) - len(words) // 2
    return taken(trace, len(shifted_midway(seconds, heard(number))[1]) - moved)


def _word_starts(share: float, number: int, trace: Dia2Trace) -> int:
    """The frame at which Whisper has a word begin, behind a share of all; the given list may lack it."""
    words = heard(number).words
    return round(words[int(len(words) * share)].start * RATE)


def _otherwise(script: str, said: str, folder: Path) -> Path:
    """A run whose sound a voice takes the place of, which says something else."""
    path = made(folder, script)
    rate = soundfile.info(path / "audio.flac").samplerate
    length = soundfile.info(path / "audio.flac").frames
    samples = talk(said).at(rate).samples[:length]
    soundfile.write(path / "audio.flac", np.pad(samples, (0, length - len(samples))), rate)
    return path


def heard_clones() -> Iterator[Seeded]:
    """Faults of recordings and their words, by different voices; none where Whisper's weights are not here."""
    if whisper() is None:
        return
    for number, seconds in ((0, 0.45), (2, -0.5), (3, 0.6)):
        yield _case("prefix-shift", f"all words {seconds:+g} s", partial(shifted, seconds), number, first_word)
    for number, seconds in ((1, 0.45), (2, 0.5), (3, -0.5)):
        at = partial(_middle_word, number, seconds)
        name = f"words from the middle on {seconds:+g} s"
        yield _case("prefix-shift", name, partial(shifted_midway, seconds), number, at)
    for one, other in ((1, 2), (3, 0)):
        kind = "prefix-unlabelled-speech"
        first, third = partial(_word_starts, 0.0, one), partial(_word_starts, 2 / 3, other)
        yield _case(kind, "no words for the first half", without_first_half, one, first)
        yield _case(kind, "no words for the last third", without_last_third, other, third)
        kind = "prefix-words-without-speech"
        yield _case(kind, "five words silenced", silenced, one, partial(said_at, 5))
        yield _case(kind, "three words over a pause at the end", words_beyond, other, partial(said_at, -3))
    for kind, name, change, number, where in (
        ("prefix-noise", "noise 8 dB below", partial(noisy, 8), 0, first_call),
        ("prefix-noise", "noise 6 dB below", partial(noisy, 6), 2, first_call),
        ("prefix-clipped", "6 times too loud", partial(scaled, 6.0), 3, first_flat_top),
        ("prefix-quiet", "a peak of 0.004", partial(scaled, 0.004), 1, first_call),
        ("prefix-short", "4 words", partial(short, 4), 2, first_call),
    ):
        yield Seeded(kind, f"{name}, heard by Whisper ({voice(number)})", partial(_clone_heard, number, change), where)


def _case(kind: str, name: str, change: Change, number: int, at: Callable[[Dia2Trace], int]) -> Seeded:
    return Seeded(kind, f"{name}, Whisper's words ({voice(number)})", partial(_clone, number, change), at)


def heard_runs() -> Iterator[Seeded]:
    """Words that come out otherwise, and words that are said twice."""
    if whisper() is None:
        return
    for kind, script, said, word in (
        ("word-misheard", SEA, "Last summer we went to the sea. The water was cold, and the food was good.", "warm,"),
        ("word-misheard", PARK, "My brother has a new house. We went to the park with the children.", "job."),
        ("loop", SEA, "Last summer we went to the sea. We went to the sea. The water was warm.", ""),
        ("loop", PARK, "My brother has a new job. My brother has a new job. We went to the park.", ""),
    ):
        make = partial(_otherwise, script, said)
        yield Seeded(kind, f"a voice says “{said}”", make, partial(_at, word, said), hear=True)


def _at(word: str, said: str, trace: Dia2Trace) -> int:
    """The call that takes a word; without one, the call that takes words where the second time is heard."""
    if word:
        return trace.find(word=word)[0]
    recording = talk(said)
    texts = [one.text.strip(".,").lower() for one in recording.words]
    again = next(i for i, text in enumerate(texts) if i > 3 and texts[i : i + 3] in _threes(texts[:i]))
    return round(recording.words[again].start * RATE) + trace.crop + 2


def _threes(texts: list[str]) -> list[list[str]]:
    return [texts[i : i + 3] for i in range(len(texts) - 2)]


def clean_heard() -> Iterator[tuple[str, Make]]:
    """Clean recordings of which no words are given."""
    for number in range(10) if whisper() is not None else ():
        yield f"heard {number}", partial(clean_clone, number, whisper=whisper())
