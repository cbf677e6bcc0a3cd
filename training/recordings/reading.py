"""The sound of a clip: of its file, or of the part of it that the clip is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from dia2.common.checks import short
from dia2.common.errors import UsageError, one_line
from dia2.runtime.audio_io import Sound, judge_sound, require_audio
from dia2.runtime.mpeg import decoding, is_mpeg
from training.recordings.clips import Clip, sound_file

LONGEST = 60.0  # seconds of a recording
_WHAT = "Recording"  # what errors call it
_MISSING = 0.1  # seconds by which a part may end after its file, as lengths are rounded
_BLOCK = 1 << 16  # frames read at a time


def read_clip(clip: Clip, sample_rate: int | None = None) -> Sound:
    """The sound of a clip, mono; its notes go on after its name.

    Args:
        clip: whose.
        sample_rate: in Hz; `None`: the file's own.

    Raises:
        UsageError: as `judge_sound`, or it is longer than a minute; names the clip.
    """
    with sound_file(clip) as whole:
        try:
            require_audio(whole, _WHAT)
            with _part(clip, whole) as path:
                sound = judge_sound(path, sample_rate, _WHAT, LONGEST)
                named = f"{_WHAT} {short(path.name)} "
                return replace(sound, notes=tuple(note.removeprefix(named) for note in sound.notes))
        except UsageError as error:
            told = str(error)
            for path in (whole, whole.parent / "part.wav"):
                told = told.replace(str(path), clip.name)
            raise UsageError(told) from error


def what_is_wrong(clip: Clip, error: Exception) -> str:
    """An error of `read_clip` as it stands behind the clip's name."""
    return str(error).removeprefix(f"{_WHAT} {clip.name} ")


@contextmanager
def _part(clip: Clip, whole: Path) -> Iterator[Path]:
    """A file with the clip's part of the sound alone."""
    if not clip.offset and clip.duration is None:
        yield whole
        return
    with TemporaryDirectory(prefix="dia2-") as folder:
        path = Path(folder) / "part.wav"
        try:
            samples, rate = _cut(whole, clip.offset, LONGEST + 1 if clip.duration is None else clip.duration)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UsageError(f"{_WHAT} {clip.name} cannot be read as sound ({one_line(error)}).") from error
        if clip.duration is not None and len(samples) / rate < clip.duration - _MISSING:
            ends = clip.offset + len(samples) / rate
            raise UsageError(
                f"{_WHAT} {clip.name} is to end at {clip.offset + clip.duration:.2f} s, and its file has {ends:.2f} s: "
                f"correct it in {clip.transcript}."
            )
        soundfile.write(path, samples, rate, subtype="FLOAT")
        yield path


def _cut(path: Path, offset: float, seconds: float) -> tuple[np.ndarray, int]:
    """Samples [n, C] float32 from `offset` on, a minute and a second at most, and their rate."""
    seconds = min(seconds, LONGEST + 1)
    if not is_mpeg(path):
        with soundfile.SoundFile(path) as file:
            file.seek(min(round(offset * file.samplerate), file.frames))
            return file.read(round(seconds * file.samplerate), "float32", always_2d=True), file.samplerate
    with decoding(path, offset + seconds) as source:
        left = round(offset * source.rate)
        wanted = round(seconds * source.rate)
        parts = [np.zeros((0, source.channels), np.float32)]
        while wanted > 0 and len(block := source.read(_BLOCK)):
            kept = block[min(left, len(block)) :][:wanted]
            left -= min(left, len(block))
            wanted -= len(kept)
            parts.append(kept)
        return np.concatenate(parts), source.rate
