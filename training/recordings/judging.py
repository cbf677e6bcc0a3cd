"""All recordings and transcripts are looked at before anything that takes long, and all that is wrong is told at once.

Nothing here needs a checkpoint: sound is read and its transcript parsed, no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from dia2.common.checks import TooLargeError, read_small, short
from dia2.common.errors import UsageError, one_line
from dia2.generation import MAX_SCRIPT_CHARS
from dia2.runtime.audio_io import Sound
from dia2.runtime.flat_tops import CELL
from dia2.runtime.invisible import visible
from dia2.runtime.script_parser import words_of
from dia2.runtime.words import read_rows, read_words
from training.alignment import spelling
from training.recordings.clips import Clip, Fault
from training.recordings.reading import read_clip, what_is_wrong
from training.spoken import Spoken

SHORTEST = 0.4  # seconds of a recording: five frames, into which a word fits
_LEAST_RATE = 8_000  # Hz; below, speech is not understood
_DULL_RATE = 16_000  # Hz; below, a voice lacks its hiss
_CLIPPED = 0.1  # of a recording's hundredths of a second; so many are no accident


@dataclass(frozen=True)
class Judged:
    """A recording that can be used, and what is known of its words."""

    clip: Clip
    seconds: float
    sound: str  # digest of its samples
    text: str | None = None  # the script, if there is one
    times: tuple[Spoken, ...] | None = None  # words with times, if there are any
    notes: tuple[str, ...] = ()  # what is not right with it

    @property
    def words(self) -> str:
        """Digest of the transcript."""
        told = self.text if self.times is None else json.dumps([asdict(word) for word in self.times])
        return hashlib.sha256(f"{told is None}{told}".encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """What was found, clip by clip, in the order of the clips."""

    good: tuple[Judged, ...]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]  # what is used all the same, or not needed


def judge(clips: Sequence[Clip], tell: Callable[[str], None] = lambda _: None) -> Verdict:
    """Look at every clip; `tell` is called with the name of each that is done.

    Raises:
        UsageError: never for a clip; its faults are in the result.
    """
    good: list[Judged] = []
    faults: list[Fault] = []
    notes: list[Fault] = []
    before: dict[str, Judged] = {}  # by the digest of the sound
    for clip, (judged, wrong) in zip(clips, _judged(clips), strict=True):
        tell(clip.name)
        faults += (Fault(clip.name, what.rstrip(".")) for what in wrong)
        if judged is None:
            continue
        twin = before.setdefault(judged.sound, judged)
        if twin is judged:
            good.append(judged)
            notes += (Fault(clip.name, note) for note in judged.notes)
        elif twin.words == judged.words:
            notes.append(Fault(clip.name, f"is left out: the same sound and words as {twin.clip.name}"))
        else:
            faults.append(
                Fault(clip.name, f"has the same sound as {twin.clip.name} and other words: keep the right one")
            )
    return Verdict(tuple(good), tuple(faults), tuple(notes))


def _judged(clips: Sequence[Clip]) -> Iterator[tuple[Judged | None, list[str]]]:
    """In their order, several at a time: decoders and hashes leave Python's lock."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        ahead = 64  # clips whose results wait; a bound on nothing but them: a result is small
        for at in range(0, len(clips), ahead):
            yield from pool.map(judge_clip, clips[at : at + ahead])
    finally:
        pool.shutdown(cancel_futures=True)


def judge_clip(clip: Clip) -> tuple[Judged | None, list[str]]:
    """A clip that can be used, or all that is wrong with it."""
    sound: Sound | None = None
    wrong: list[str] = []
    try:
        sound = read_clip(clip)
    except UsageError as error:
        wrong.append(what_is_wrong(clip, error))
    except OSError as error:
        wrong.append(f"cannot be read ({error.strerror})")
    seconds = 0.0
    if sound is not None:
        seconds = len(sound.samples) / sound.rate
        wrong += _sound_faults(sound, seconds)
    text: str | None = None
    times: tuple[Spoken, ...] | None = None
    try:
        if clip.times is not None:
            times = read_times(clip.times, clip.transcript, seconds if sound is not None else float("inf"))
        elif clip.transcript:
            text = script_of(clip)
    except UsageError as error:
        wrong.append(str(error))
    if wrong or sound is None:
        return None, wrong
    digest = hashlib.sha256(f"{sound.rate} ".encode() + sound.samples.numpy().tobytes()).hexdigest()
    return Judged(clip, seconds, digest, text, times, _notes(sound)), []


def _sound_faults(sound: Sound, seconds: float) -> list[str]:
    wrong: list[str] = []
    if seconds < SHORTEST:
        wrong.append(f"takes {seconds:.2f} s, in which nothing can be said: remove it")
    if sound.rate < _LEAST_RATE:
        wrong.append(f"has {sound.rate:,} samples a second, and speech needs {_LEAST_RATE:,}: record it anew")
    clipped = len(sound.clipped) * CELL / max(seconds, CELL)
    if clipped > _CLIPPED:
        wrong.append(f"is clipped during {clipped:.0%} of its time: record it at a lower level")
    return wrong


def _notes(sound: Sound) -> tuple[str, ...]:
    notes = list(sound.notes)
    if sound.rate < _DULL_RATE:
        notes.append(f"has {sound.rate:,} samples a second: the voice will be as dull")
    if len(sound.clipped):
        notes.append(f"is clipped, first at {float(sound.clipped[0]):.2f} s")
    return tuple(notes)


def script_of(clip: Clip) -> str:
    """The transcript of a clip, judged as a script.

    Raises:
        UsageError: it is no text, has no words, or a script may not have what it has.
    """
    where = clip.transcript
    text = clip.text
    if text is None:
        assert isinstance(clip.sound, Path), "what lies in a table has its text there"
        text = _read(clip.sound.with_suffix(".txt"), where)
    try:
        words = words_of(text)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if not any(map(spelling, words)):
        raise UsageError(f"{where} has no words: write what is said, or remove it.")
    return text


def _read(path: Path, where: str) -> str:
    try:
        return read_small(path, 4 * MAX_SCRIPT_CHARS).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error
    except (OSError, TooLargeError) as error:
        raise UsageError(f"{where} cannot be read ({one_line(error)}).") from error


def read_times(path: Path, where: str, seconds: float) -> tuple[Spoken, ...]:
    """Words of a JSON list of `{"text", "start", "end"}`, with "speaker" (1 or 2) where the speaker changes.

    Args:
        path: of the file.
        where: names it in errors.
        seconds: of the recording.

    Raises:
        UsageError: as `read_words`, or a speaker is neither 1 nor 2.
    """
    rows = read_rows(path, where)
    if rows and all(isinstance(row, dict) and isinstance(row.get("text"), str) for row in rows):
        rows = [row for row in rows if visible(row["text"]).strip() or "speaker" in row]
        if not any(visible(row["text"]).strip() for row in rows):
            raise UsageError(f"{where} has no words: write down what is said.")
    words = iter(read_words(rows, seconds, where))
    spoken: list[Spoken] = []
    speaker: object = 1
    for row in rows:
        speaker = row.get("speaker", speaker)
        if visible(row["text"]).strip():
            word = next(words)
            if not isinstance(speaker, int) or isinstance(speaker, bool) or speaker not in (1, 2):
                raise UsageError(f"{where} names speaker {short(speaker)} of {word.text!r}: speakers are 1 and 2.")
            spoken.append(Spoken(word.text, speaker, word.start, word.end))
    return tuple(spoken)
